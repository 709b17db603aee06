"""Encoders of text: TF-IDF with SVD, a transformer's [CLS], and the cache of vectors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import pytest

from goralx import BadInput
from goralx.data.sources import cache_folder
from goralx.data.text import TfidfSvd, TransformerCls, vectors

TEXTS = [
    f"{'good' if i % 2 else 'bad'} film {i % 7} , {'warm' if i % 3 else 'cold'}" for i in range(40)
]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GORALX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@dataclass
class Counting:
    """An encoder that counts how often it is asked."""

    settings: dict = field(default_factory=lambda: {"encoder": "counting", "size": 3})
    calls: int = 0

    def encode(self, texts):
        self.calls += 1
        return np.array([[len(t), t.count("o"), self.calls] for t in texts], dtype=np.float32)


# the cache


def test_vectors_are_made_once_for_the_same_texts_and_settings():
    encoder = Counting()
    first, second = vectors(TEXTS, encoder), vectors(list(TEXTS), encoder)
    np.testing.assert_array_equal(first, second)
    assert encoder.calls == 1


@pytest.mark.parametrize(
    ("texts", "settings"),
    [
        ([*TEXTS[:-1], TEXTS[-1] + "."], {}),
        (TEXTS[::-1], {}),
        (["".join(TEXTS[:2]), *TEXTS[2:]], {}),
        (TEXTS, {"size": 4}),
    ],
)
def test_another_text_order_or_setting_is_encoded_anew(texts, settings):
    vectors(TEXTS, Counting())
    other = Counting()
    other.settings |= settings
    vectors(texts, other)
    assert other.calls == 1


def test_texts_are_told_apart_by_where_one_ends():
    encoder = Counting()
    vectors(["ab", "c"], encoder)
    vectors(["a", "bc"], encoder)
    assert encoder.calls == 2


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut", b"\x80\x04pickle"])
def test_a_damaged_cache_file_is_replaced(damage):
    encoder = Counting()
    vectors(TEXTS, encoder)
    (path,) = cache_folder("vectors").iterdir()
    path.write_bytes(damage)
    vectors(TEXTS, encoder)
    assert encoder.calls == 2
    vectors(TEXTS, encoder)
    assert encoder.calls == 2


def test_nothing_is_left_of_an_encoding_or_a_write_that_fails(monkeypatch):
    class Failing(Counting):
        def encode(self, texts):
            raise MemoryError

    with pytest.raises(MemoryError):
        vectors(TEXTS, Failing())

    def full(stream, X):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        vectors(TEXTS, Counting())
    assert list(cache_folder("vectors").iterdir()) == []


# TF-IDF with SVD


def test_tfidf_vectors_keep_the_geometry_of_the_texts():
    """With all components the inner products are those of TF-IDF, up to one factor."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    X = TfidfSvd(n_components=20).encode(TEXTS).astype(float)
    weights = TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, 2), min_df=2, token_pattern=r"\S+"
    ).fit_transform(TEXTS)
    singular = np.linalg.svd(weights.toarray(), compute_uv=False)
    rank_20 = (singular[:20] ** 2).sum()
    assert X.shape == (40, 20) and X.dtype == float
    np.testing.assert_allclose((X**2).sum(axis=1).mean(), 20, rtol=1e-5)
    np.testing.assert_allclose((X**2).sum(axis=0) / 800, singular[:20] ** 2 / rank_20, atol=1e-6)


def test_tfidf_is_the_same_in_another_process():
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{k}" for k in rng.zipf(1.5, size=12) % 60) for _ in range(80)]
    code = (
        "import json, sys; from goralx.data import TfidfSvd;"
        "print(json.dumps(TfidfSvd(5).encode(json.load(sys.stdin)).tolist()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
    )
    X = TfidfSvd(5).encode(texts)
    np.testing.assert_allclose(np.array(json.loads(done.stdout)), X, atol=1e-4)  # signs too


@pytest.mark.parametrize("n", [40, 1000])
def test_more_components_than_texts_are_refused(n):
    with pytest.raises(BadInput, match=f"dataset.n_components={n}; allowed: 1 to "):
        TfidfSvd(n).encode(TEXTS)


def test_texts_without_words_are_refused():
    with pytest.raises(BadInput, match="TF-IDF of 2 texts"):
        TfidfSvd(1).encode([" ", ""])


# transformers


def test_a_missing_extra_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BadInput, match=r"pip install 'goralx\[text\]'") as refused:
        TransformerCls().encode(TEXTS)
    assert "\n" not in str(refused.value)


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory):
    """A BERT of two layers with random weights, and a tokenizer of the words above."""
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("bert")
    words = sorted({w for t in TEXTS for w in t.split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=32,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def test_the_cls_vector_of_the_last_layer_is_each_text_alone(tiny_bert):
    """Batches, padding and the order of lengths leave no trace."""
    import torch
    import transformers

    texts = [*TEXTS * 2, "good " * 30]
    X = TransformerCls(str(tiny_bert), max_length=12).encode(texts)
    assert X.shape == (81, 8) and X.dtype == np.float32
    model = transformers.AutoModel.from_pretrained(tiny_bert).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_bert)
    for i in (0, 1, 39, 40, 80):
        ids = tokenizer(texts[i])["input_ids"]
        if len(ids) > 12:
            ids = [*ids[:11], ids[-1]]  # what is cut keeps its [SEP]
        assert ids[0] == tokenizer.cls_token_id
        with torch.no_grad():
            expected = model(torch.tensor([ids])).last_hidden_state[0, 0].numpy()
        np.testing.assert_allclose(X[i], expected, atol=1e-5)
    np.testing.assert_array_equal(X[0], X[40])


def test_a_model_folder_counts_by_its_files(tiny_bert, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tiny_bert.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert TransformerCls(str(copy)).settings == TransformerCls(str(tiny_bert)).settings
    (copy / "vocab.txt").write_text("other")
    assert TransformerCls(str(copy)).settings != TransformerCls(str(tiny_bert)).settings


def test_weights_that_cannot_be_had_are_one_line(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / "config.json").write_text("{")
    for model in ("nobody/no-such-model", str(tmp_path), "./no-such-folder"):
        with pytest.raises(BadInput, match=r"cannot load the model .*dataset\.model") as refused:
            TransformerCls(model).encode(TEXTS)
        assert "\n" not in str(refused.value)


def test_importing_goralx_text_imports_no_heavy_library():
    code = (
        "import sys, goralx.data;"
        "heavy = ('sklearn', 'torch', 'transformers', 'pandas', 'pooch');"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"
