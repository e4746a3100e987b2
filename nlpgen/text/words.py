"""Chinese words, as jieba cuts them with its own dictionary."""

from functools import cache


@cache
def word_cutter():
    """A `jieba.Tokenizer`: one a process, since its dictionary of 350,000 words takes a second to read.

    It is read here, and not by jieba itself, which would print to the terminal and leave a file in the folder for
    temporary files.
    """
    import jieba  # not above: it would make `import nlpgen` slow

    cutter = jieba.Tokenizer()
    cutter.FREQ, cutter.total = cutter.gen_pfdict(cutter.get_dict_file())
    cutter.initialized = True
    return cutter
