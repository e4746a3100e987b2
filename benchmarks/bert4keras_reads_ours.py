"""Does bert4keras itself read the TensorFlow checkpoints that nlpgen writes?

bert4keras lives on Python 3.8 and TensorFlow 2.10, so this runs in an environment of its own:

    tar -xf tests/golden/weights.tar.xz -C tests/golden
    nlpgen convert tests/golden/b4k_bert OURS --to huggingface
    nlpgen convert OURS AGAIN --to tensorflow
    python3.8 -m venv old && old/bin/pip install tensorflow-cpu==2.10.1 'numpy<1.24' 'protobuf<3.20'
    old/bin/pip install --no-deps bert4keras==0.11.5
    TF_KERAS=1 old/bin/python benchmarks/bert4keras_reads_ours.py AGAIN tests/golden/b4k_bert/golden.npz

It loads the checkpoint that went through Hugging Face's form and back, and compares the logits with the golden ones.
"""

import sys

import numpy as np
from bert4keras.models import build_transformer_model


def main(folder, golden):
    golden = np.load(golden)
    model = build_transformer_model(
        folder + "/bert_config.json", folder + "/bert_model.ckpt", model="bert", with_mlm="linear"
    )
    found = model.predict([golden["mlm_linear/in0"], golden["mlm_linear/in1"]], verbose=0)
    expected = golden["mlm_linear/out_mlm"]
    print(f"worst difference / scale: {np.abs(found - expected).max() / np.abs(expected).max():.1e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
