"""NEZHA, RoFormer and RoFormerV2 against bert4keras 0.11.5 and transformers 5.23, recorded in tests/golden."""

import numpy as np
import pytest
from keras import ops

from nlpgen import MaskedLM, Nezha, RoFormer, RoFormerV2
from nlpgen.checkpoints import open_folder
from nlpgen.layers import RotaryEmbedding
from tests.helpers import GOLDEN, array, assert_close

pytestmark = pytest.mark.backends
# bert4keras leaves these two at Keras' epsilon; in the releases it is 1e-12.
EPS = {"layer_norm_eps": 1e-7}
NEZHA, ROFORMER = {"model_type": "nezha", **EPS}, {"model_type": "roformer", **EPS}
# folder, variant: class, options of from_pretrained, output
VARIANTS = {
    ("b4k_nezha", "encoder"): (Nezha, EPS, "sequence"),
    ("b4k_nezha", "mlm_linear"): (MaskedLM, NEZHA, "mlm"),
    ("b4k_nezha", "long_len150"): (Nezha, EPS, "sequence"),  # distances beyond the largest that is told apart
    ("b4k_nezha", "unilm"): (MaskedLM, {**NEZHA, "application": "unilm"}, "mlm"),
    ("b4k_nezha", "lm"): (MaskedLM, {**NEZHA, "application": "lm"}, "mlm"),
    ("b4k_roformer", "encoder"): (RoFormer, EPS, "sequence"),
    ("b4k_roformer", "mlm_linear"): (MaskedLM, ROFORMER, "mlm"),
    ("b4k_roformer", "custom_position_ids"): (MaskedLM, ROFORMER, "mlm"),
    ("b4k_roformer", "unilm"): (MaskedLM, {**ROFORMER, "application": "unilm"}, "mlm"),
    ("b4k_roformer_v2", "encoder"): (RoFormerV2, {}, "sequence"),
    ("b4k_roformer_v2", "mlm_linear"): (MaskedLM, {}, "mlm"),
}


@pytest.mark.parametrize(("folder", "variant"), VARIANTS)
def test_bert4keras(folder, variant):
    cls, options, name = VARIANTS[folder, variant]
    golden = np.load(GOLDEN / folder / "golden.npz")
    names = ("token_ids", "segment_ids", "position_ids")
    inputs = {name: golden[f"{variant}/in{i}"] for i, name in enumerate(names) if f"{variant}/in{i}" in golden}
    assert variant == "long_len150" or (inputs["token_ids"] == 0).any()
    out = array(cls.from_pretrained(GOLDEN / folder, **options)(inputs))
    assert_close(out, golden[f"{variant}/out_{name}"])


@pytest.mark.parametrize("folder", ["b4k_nezha", "b4k_roformer", "b4k_roformer_v2"])
def test_every_variant_of_the_golden_file_is_tested(folder):
    recorded = {key.split("/")[0] for key in np.load(GOLDEN / folder / "golden.npz")}
    assert recorded == {variant for name, variant in VARIANTS if name == folder}


def test_transformers(monkeypatch):
    """The recorded model has random numbers where its table of sines should be, so the turns are by its file's table.

    Everything else is compared; the sines themselves are in `test_transformers_reads_what_we_write`.
    """
    folder = GOLDEN / "hf_roformer_mlm"
    golden = np.load(folder / "golden.npz")
    ids, segments, mask = (golden[f"in/{name}"] for name in ("input_ids", "token_type_ids", "attention_mask"))
    assert (mask == (ids != 0)).all()
    assert (mask == 0).any()
    table = open_folder(folder).tensors["roformer/encoder/embed_positions/kernel"].T
    sin, cos = (ops.convert_to_tensor(half) for half in np.split(np.asarray(table)[: ids.shape[1]], 2, axis=1))

    def turned(layer, x, positions=None):
        first, second = x[..., ::2], x[..., 1::2]
        both = [first * cos - second * sin, second * cos + first * sin]
        return ops.reshape(ops.stack(both, axis=-1), ops.shape(x))

    monkeypatch.setattr(RotaryEmbedding, "call", turned)
    model = MaskedLM.from_pretrained(folder)
    inputs = {"token_ids": ids, "segment_ids": segments}
    assert_close(array(model.backbone.embed(inputs)), golden["out/hidden_states/0"])
    assert_close(array(model.backbone(inputs)), golden["out/hidden_states/2"])
    assert_close(array(model(inputs)), golden["out/logits"])
