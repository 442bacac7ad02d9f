"""Every number that an audit finding, a signature of weights or a tensor verdict depends on, with where it comes from.

The table of all thresholds (thresholds.py) holds these under `checkpoint_…`. Not here: sizes of samples and buffers,
limits on untrusted files, and tables of what published models have.
"""

from __future__ import annotations

from diag.results.threshold import Threshold

_TRAINED = "trained Qwen2 of 6.7 M parameters"
_SIGNATURES = "docs/signatures.md"
_NINE = "141 norms of nine trained models"

# the audit: constants of the configuration
EPS_LARGE = Threshold(1e-4, "of a mean square", f"{_TRAINED}: 1e-12 to 1e-4 change nothing, 1e-3 costs 0.015 nats")
EPS_SMALL = Threshold(1e-8, "of a mean square", "smaller than any published model's, and harmless in float32")
PLAIN_THETA = Threshold(1e4, "rotary base", "RoFormer's base, which small experiments of every family use")
SHORT_CONTEXT = Threshold(8192, "positions", "up to here the plain base does, whatever the family")

# the audit: values
IMPLAUSIBLE_RMS = Threshold(100.0, "weight units", "trained ones have 0.01 to 1; float16 read as bfloat16 1e4")
CLIPPED_PEAK = Threshold(1.6, "root mean squares", "898 trained matrices of 13 models: 3.7 and more; uniform: 1.73")
CLIPPED_LEAST = Threshold(1024, "elements", "the largest of fewer may be small by chance")
MANY_ZEROS = Threshold(0.05, "of the elements", "trained matrices hold practically no exact zeros")
ZERO_ROWS = Threshold(0.01, "of the rows or columns", "fewer may be neurons that died in training")
CONSTANT_ROW_LENGTH = Threshold(8, "elements", "a shorter row may hold one value by chance, in a type of few bits")
ZERO_TAIL = Threshold(0.1, "of the rows", "a tail of zeros of a matrix from here on is a copy cut short")
ZERO_TAIL_OF_TOKENS = Threshold(0.25, "of the rows", "the end of an embedding is often padding")
ZERO_TAIL_ROWS = Threshold(2, "rows", "one row of zeros may be a neuron that died")
ZERO_TAIL_OF_FILE = Threshold(0.01, "of the file", "biases and padding at the end are zero in sound files")
ZERO_TAIL_BYTES = Threshold(4096, "bytes", "a shorter tail may be a bias or padding")
FINDINGS_PER_CODE = Threshold(50, "findings", "a file with the wrong names would give thousands of equal ones")

# the audit: norm weights
NORM_COUNT = Threshold(3, "norms", "fewer say nothing about a convention")
NORM_NEGATIVE_SHARE = Threshold(0.3, "of the weights", f"none of {_NINE} has a negative weight as trained")
NORM_NEGATIVE_NORMS = Threshold(0.25, "of the norms", "stored minus 1, a third to three quarters are such")
NORM_AROUND_ONE = Threshold(0.2, "weight units", "a briefly trained 1 + w, plus 1, has its mean this close to 1")
NORM_NARROW = Threshold(0.3, "weight units", "and no larger standard deviation")
NORM_AROUND_ONE_NORMS = Threshold(0.8, "of the norms", "final norms of trained 1 + w models lie far above 1")

# the audit: the dtype tag
OCTAVES_LOW = Threshold(0.7, "octaves", "deviation of log2 |x|: 1.6 for a Gaussian, 1 to 2.5 for trained weights")
OCTAVES_HIGH = Threshold(4.0, "octaves", "bfloat16 as float16 has 0.2, the reverse 13, noise in the exponent 8 to 70")
OCTAVES_CLEAR = Threshold(1.5, "times", "beyond either bound by this factor before a tag is called wrong")
LARGEST_WEIGHT = Threshold(2.0**10, "weight units", "trained weights stay below it by far")
TAG_VALUES = Threshold(256, "values", "fewer give no spread to rely on")
FEW_NONFINITE = Threshold(0.001, "of the values", "bytes swapped in bfloat16 give one NaN in 256, a wrong type more")
CODES_REACH = Threshold(0.5, "of the largest number", "8-bit types are scaled to fill their range; no weight has 224")

# the audit: copies and the tie
TIE_ROUNDING = Threshold(2.0**-8, "of each value", "what storing a copy in bfloat16 moves at most")
TIE_ROUNDED_COSINE = Threshold(
    0.9, "cosine", f"trained untied heads have 0.03 at most, a 5-bit copy 0.999: {_SIGNATURES}"
)

# the audit and its signature: training that did not happen
FRESH_TOLERANCE = Threshold(0.1, "relative", "trained embeddings and heads of two small Qwen2 vary 2.7 to 3.8 times it")
FRESH_SCATTERS = Threshold(3.0, "standard deviations", "of the estimate itself, 1/√(2n) of n norms, where that is more")
FRESH_NORMS = Threshold(32, "norms", "below, the scatter alone exceeds a third")
FRESH_TRAINED = Threshold(1.5, "times fresh", "a neighbour in another layer that varies more was trained")
FRESH_TRAINED_LAYERS = Threshold(2, "layers", "as many trained neighbours at least, and half of all")
FRESH_UNDECIDED = Threshold(0.25, "of the matrices", f"where more resemble no other, little was learnt: {_SIGNATURES}")
FRESH_MODEL = Threshold(0.9, "of the matrices", "beyond, the model is fresh, and single layers are not listed")
PADDING_VARIATION = Threshold(1.3, "times fresh", "the last rows of an embedding are padding while they vary no more")
PADDING_REST = Threshold(2.0, "times that", "and all rows together vary more than this")
PADDING_ROWS = Threshold(8, "rows", "fewer vary little by chance")
PADDING_SHARE = Threshold(0.5, "of the rows", "more is no padding")
PADDING_COMPARED = Threshold(256, "rows", "of the end, evenly spaced, compared with each other")
PADDING_ALIKE = Threshold(0.95, "mean cosine", f"ends of trained rows have 0.12 to 0.56, padding 1.00: {_SIGNATURES}")
PADDING_UNRELATED = Threshold(
    0.03, "mean cosine", f"ends of trained rows have 0.12 to 0.56, random ones 0: {_SIGNATURES}"
)
PADDING_SCATTERS = Threshold(3.0, "standard deviations", "of the mean of so many random cosines, where that is more")
EQUAL_ROWS = Threshold(4096, "rows", "of one norm, compared byte by byte")

# signatures: layout, rotary pairing, width of a head
LAYOUT_TOP = Threshold(8, "correlations", "a score is the mean of the largest: not every matrix resembles every other")
LAYOUT_CLEAR = Threshold(
    2.0, "times noise", f"wrong orders and fresh matrices reach 1.8, right ones start at 2.2: {_SIGNATURES}"
)
LAYOUT_LEAD = Threshold(1.0, "times noise", f"the right order of a matrix leads its wrong ones by 1.2: {_SIGNATURES}")
LAYOUT_SIGNIFICANT = Threshold(4.0, "standard deviations", "from here a correlation counts while no order is settled")
LAYOUT_FALSE_ALARMS = Threshold(0.0034, "of right matrices", f"none of 898, a 95 % upper bound: {_SIGNATURES}")
ROTARY_LEAD = Threshold(0.25, "of the mean |cosine|", f"a file permuted twice came to 0.24: {_SIGNATURES}")
ROTARY_ERRORS = Threshold(3.0, "standard errors", "over heads")
ROTARY_HEADS = Threshold(8, "heads", "fewer give no standard error to rely on")
ROTARY_ROWS = Threshold(
    16, "rows of a head", f"with 8 the right order led in none of 5 tries, with 32 in 40 of 40: {_SIGNATURES}"
)
MIN_SINE_RATIO = Threshold(1.56, "of the mean |cosine|", "1.66 to 2.26 at the true width, 1.22 to 1.48 at half")
HEAD_WIDTH_BELOW = Threshold(512, "hidden size", "from here on the rule for published models was checked and answers")

# comparing two checkpoints
QUANTISED_ROUNDING = Threshold(2.5, "times 2⁻ᵇ", "b bits err by 1.2 of it; twice that leaves room for heavy tails")
COARSE_GRID = Threshold(0.4, "of the norm", "the best 2, 3, 4 levels of a Gaussian lose 0.60, 0.44, 0.34 of it")
GRID_BLOCKS = Threshold(64, "blocks", "of values that differ; fewer could stand on a grid by chance")
GRID_SHARE = Threshold(0.97, "of the blocks", "in the rest no value may show the level that tells")
FINER_GRID = Threshold(QUANTISED_ROUNDING.value * 2.0**-6, "of the norm", "what 6 bits lose, which bfloat16 hides")
GRID_RESIDUAL = Threshold(0.3, "steps", "off a whole number; 14 random values all lie so near in 1 of 1,000 blocks")
ORDINARY_PEAK = Threshold(4.0, "root mean squares", "a scale for a whole tensor follows its largest value")
SUM_ROUNDING = Threshold(1e-9, "relative", "of a sum of squares in another order, with room")
RELATION_ELEMENTS = Threshold(8, "elements", "with fewer a factor or a shift fits by chance")

# H4C and H4D
PLAUSIBLE_EPS_LOW = Threshold(1e-8, "of a mean square", EPS_SMALL.source)
PLAUSIBLE_EPS_HIGH = Threshold(1e-4, "of a mean square", EPS_LARGE.source)
EPS_SWEEP_1E8 = Threshold(1e-8, "of a mean square", "tried: below what any model publishes")
EPS_SWEEP_1E6 = Threshold(1e-6, "of a mean square", "tried: what Qwen and Gemma publish")
EPS_SWEEP_1E5 = Threshold(1e-5, "of a mean square", "tried: what Llama and Phi-3 publish")
EPS_SWEEP_1E3 = Threshold(1e-3, "of a mean square", "tried: the smallest that was measured to cost loss")
REFERENCE_SHIFT = Threshold(0.25, "of the reference's size", "a norm's mean this far off is no fine-tuning")
NORM_SCALES = tuple(
    Threshold(
        value,
        "times the weight",
        "tried: a scale that was folded in twice, or not at all; half octaves meet any within 19 %",
    )
    for value in (0.125, 0.177, 0.25, 0.354, 0.5, 0.707, 1.414, 2.0, 2.828, 4.0, 5.657, 8.0)
)
ODD_SCALE = Threshold(
    8.0, "times its siblings", "13 models, 3 of them published: 1/3.7 (SmolLM2, v) to 3.4 (Qwen2.5, q)"
)
ODD_NORM = Threshold(20.0, "times its siblings", "13 models: up to 9.4 (Gemma 3 270M, the norm behind the last MLP)")
NO_UPDATE = Threshold(1e-6, "of the stream", "an update this small beside the stream contributes nothing")
DROWNING = Threshold(1e3, "times the stream", "an update this large drowns the stream")

# what two checkpoints are to each other
GATHERED_ROWS = Threshold(0.95, "of the rows", "of a tensor that holds other tensors' rows; padding rows are all alike")
PARTLY_ROWS = Threshold(0.02, "of the rows", "so many equal ones beside others that differ: no training leaves that")
NEARLY_ALL = Threshold(0.9, "of the rows", "random rows of width 64 pass for related ones in 3 of 100")
TRAINED_COSINE = Threshold(0.2, "cosine", "matrices before and after training; unrelated ones have 0.00 ± 0.01")
ODD_FACTOR = Threshold(
    1.5, "times the other's size", "no training moves the size of a matrix by that and keeps its values"
)
LINE_RESIDUAL = Threshold(0.05, "of the norm", "left when rows or columns have a factor each: e4m3 rounds by 0.03")
ALIEN_COSINE = Threshold(0.2, "cosine", "of rows with nothing in common: within 3/sqrt(width) of 0 from width 225 up")
ALIKE_COSINE = Threshold(0.6, "cosine", "of rows before and after a short training; unrelated ones stay below 0.3")
NEAR_COSINE = Threshold(0.3, "cosine", "a pattern that holds up to training: a tensor of a relative in another order")
NEAR_LEAD = Threshold(0.2, "cosine, or of a gap", "by which the pattern must fit better than the tensor as it stands")
OUTLIER = Threshold(
    4.0, "times the median difference", "of a relative's tensors of one kind; training moves them alike"
)
MOST = Threshold(0.5, "of the tensors", "product definition: a twin has most tensors equal, up to named patterns")
LEAST_WINDOW = Threshold(
    64, "ids", "published sliding windows hold 512 and more; the smallest model of the tests has 128"
)
THETA_SWEEP = tuple(
    Threshold(value, "rotary base", "tried: what model families publish, and an end on either side")
    for value in (1e3, 1e4, 1e5, 5e5, 1e6, 1e7, 1e8)
)
ROTARY_FACTORS = tuple(
    Threshold(value, "times the trained length", "tried: published linear scalings, and an end beyond")
    for value in (2.0, 4.0, 8.0, 16.0)
)
ROTARY_SHARES = tuple(
    Threshold(value, "of a head's rows", "tried: GPT-NeoX turns a quarter, GPT-J and StableLM up to a half, most all")
    for value in (0.25, 0.5, 1.0)
)
BIAS_RANKS = tuple(
    Threshold(value, "ranks", "tried: usual numbers of tensor-parallel ranks (gpt-neox #1220), and an end beyond")
    for value in (2.0, 4.0, 8.0, 16.0)
)
