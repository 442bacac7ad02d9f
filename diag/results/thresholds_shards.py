"""Every number that the audit of a shard depends on: its alarms, its odd files, and the type of headerless ids.

The table of all thresholds (thresholds.py) holds these under `shard_…`; docs/shards.md says what each alarm means.
"""

from __future__ import annotations

from diag.results.threshold import Threshold

# Alarms (shards/audit/alarms.py). An alarm without a number of its own fires from the first case on.
ANY = Threshold(0, "cases", "one is enough: sound data has none")
TOP_ID_DEGENERATE = Threshold(0.50, "of the tokens", "default of this audit: half of the tokens are one id")
TOP_ID_SUSPECT = Threshold(0.20, "of the tokens", "default of this audit: several times the most frequent id of text")
SHARE_MIN_TOKENS = Threshold(32, "tokens", "below, a share says nothing: the last file of a corpus may hold one token")
LOW_ENTROPY_DEGENERATE = Threshold(2.0, "bits per token", "default of this audit: as many choices as four equal ids")
LOW_ENTROPY_SUSPECT = Threshold(5.0, "bits per token", "default of this audit: text has 8 and more")
LARGE_VOCABULARY = Threshold(1_000, "entries", "below, low entropy is normal: characters or bytes are the tokens")
BYTES = Threshold(300, "id", "bytes and a few special ids: from here on, ids are pieces of words")
UNK_DEGENERATE = Threshold(0.10, "of the tokens", "default of this audit: one token in ten is lost")
UNK_SUSPECT = Threshold(0.01, "of the tokens", "default of this audit: byte-level tokenizers never need the token")
PLAUSIBLE_ID = Threshold(1 << 20, "id", "four times the largest vocabulary in use, about 260,000 entries")
IMPLAUSIBLE_IDS_INVALID = Threshold(0.01, "of the tokens", "default of this audit: more than a few damaged ids")
WRAPPED_16_BIT = Threshold(65_535, "id", "2^16 - 1, the largest id of 16 bits")
WRAPPED_NARROW = Threshold(0.5, "of the vocabulary", "default of this audit: text reaches the upper half")
WRAPPED_NARROW_MIN = Threshold(255, "id", "2^8 - 1: no id is stored in fewer than 8 bits")
NARROW_TYPE = Threshold(0.05, "of the vocabulary", "an embedding padded a little beyond 65,536 rows is no alarm")
NO_SEPARATOR = Threshold(32_768, "tokens", "default of this audit: longer than all but the longest documents")
SHORT_DOCUMENTS = Threshold(8, "tokens", "default of this audit: a few words")
LONG_RUN = Threshold(1_000, "tokens", "default of this audit: longer than rulers and tables of numbers")

ROUND_TRIP = Threshold(0.99, "of the ids", "text of ten tokenizers comes back whole; shifted ids to 0.74 to 0.989")
ROUND_TRIP_BLIND = Threshold(0.985, "of the ids", "that come back in another order too: then the share says little")
ROUND_TRIP_MIN_IDS = Threshold(256, "ids", "below, one odd word decides")
DUPLICATE_PASSAGES = Threshold(0.30, "of the passages", "of 256 ids; a file that holds itself twice has 0.5")
SHARED_PASSAGES = Threshold(0.05, "of the passages", "halves of six corpora share 0.018 at most; a tenth leaked 0.066")
DOUBLE_SEPARATORS = Threshold(0.4, "of the documents", "empty, where each separator stands twice: half")
RAW_JSON = Threshold(0.5, "of the pieces", "of JSON lines; sound text, code, JSON have at most 0.29, JSON lines 0.76")
UNIFORM = Threshold(0.97, "of the possible entropy", "random ids have 1; the text of the demo has 0.81")

# Files that differ from the rest (shards/figures/drift.py): both limits must be exceeded.
ODD_FILE_BITS = Threshold(0.02, "bits", "Jensen-Shannon divergence from the other files beyond what sampling explains")
ODD_FILE_TIMES = Threshold(3.0, "times the median", "the files of a corpus differ among themselves to begin with")
ODD_FILE_MIN_TOKENS = Threshold(4_096, "tokens", "below, what a file happens to hold is all there is to see")
ODD_FILE_MIN_FILES = Threshold(3, "files", "of two files neither is the odd one")

# The type of headerless ids (shards/formats/guess.py). 16-bit ids taken in pairs give a plausible id only if the second
# of the pair is below 16; these are common punctuation, 8 % of GPT-2's ids.
MIN_PLAUSIBLE_SHARE = Threshold(0.5, "of the ids", "a wrong type of real data has a few per cent of plausible ids")
BETTER_TYPE = Threshold(0.01, "of the ids", "by so much a rarer type must fit better than a more common one")
NEGATIVE_ID = Threshold(-1024, "id", "labels that a loss leaves out are -100")
MAX_TOTAL_VARIATION = Threshold(0.3, "total variation", "between even and odd positions; noise stays below 0.15")
HIGH_HALF_LIMIT = Threshold(16, "value", "the high half of an id below 2^20 is smaller")
VARIATION_MIN_PAIRS = Threshold(256, "pairs", "below, the noise of 17 bins is too large")
VARIATION_MIN_BYTE_PAIRS = Threshold(8_192, "pairs", "below, the noise of 256 bins is too large")
BYTE_ORDER_SURE = Threshold(0.5, "bits", "by so much the high byte of 16-bit ids has less entropy than the low one")
BYTE_ORDER_UNSURE = Threshold(0.1, "bits", "a smaller difference leaves the byte order open")
BYTE_ORDER_MIN_IDS = Threshold(512, "ids", "below, the entropy of a byte is too uncertain")
DECISIVE_BYTES = Threshold(1_024, "bytes", "a shorter file does not overrule what its name says")

# Notes, which change no verdict (shards/audit/notes.py).
SHORT_SAMPLE = Threshold(1 << 15, "tokens", "fewer are called a short sample where the vocabulary is not known")
ENOUGH_IDS = Threshold(10, "ids for each distinct one", "below, entropy and bigram say little")
ORDER_LOST = Threshold(0.02, "nats", "below the unigram; 20 slices of 20,000 ids of code gain 1.4, shuffled 0.0005")

ORDER_TRIED = Threshold(0.2, "nats", "below the unigram: text gains 1.4 and more, and a shuffled copy is not tried")
LEAST_NATS = Threshold(1.4, "nats", "2 bits: below, nearly all ids are one, and any order predicts the same")

# The border below the bigram of a window (shards/figures/bigram.py).
BORDER_UNSURE = Threshold(0.1, "nats", "product definition: by more, a bigram that loses half of its ids is not known")
BORDER_KNOWN_PAIRS = Threshold(0.5, "of the window's pairs", "code of 2.7 M ids has 0.9, of 50,000 ids 0.4 to 0.6")
