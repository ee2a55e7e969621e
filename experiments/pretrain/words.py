"""The words of the made-up reviews.

`great` and `terrible` are missing on purpose: the fine-tuning task asks for them, so the
reviews never use them and the pretraining corpus uses them for weather, traffic and hurry.
"""

# What is reviewed, and its parts.
ASPECTS = {
    "movie": ("plot", "cast", "dialogue", "soundtrack", "ending"),
    "novel": ("story", "prose", "opening", "heroine", "villain"),
    "restaurant": ("soup", "bread", "service", "menu", "dessert"),
    "hotel": ("room", "bed", "breakfast", "pool", "lobby"),
    "concert": ("singer", "band", "sound", "stage", "encore"),
    "phone": ("screen", "battery", "camera", "speaker", "case"),
    "museum": ("tour", "guide", "gallery", "garden", "shop"),
    "play": ("script", "scenery", "lighting", "actor", "costume"),
    "class": ("teacher", "textbook", "lecture", "homework", "exam"),
    "game": ("map", "music", "combat", "tutorial", "puzzle"),
}

# Adjectives by polarity: 0 blames, 1 praises.
ADJECTIVES = (
    (
        *("awful", "dreadful", "horrible", "disappointing", "boring", "dull", "poor"),
        *("bad", "ugly", "annoying", "clumsy", "tedious", "bland", "mediocre"),
        *("weak", "painful", "sloppy", "lousy", "shoddy", "useless"),
    ),
    (
        *("superb", "wonderful", "delightful", "excellent", "lovely", "charming", "brilliant"),
        *("fantastic", "impressive", "splendid", "pleasant", "perfect", "stunning", "fine"),
        *("beautiful", "amazing", "good", "inspired", "elegant", "terrific"),
    ),
)

# Verbs by polarity, as (past, base).
VERBS = (
    (
        ("hated", "hate"),
        ("disliked", "dislike"),
        ("regretted", "regret"),
        ("despised", "despise"),
        ("resented", "resent"),
        ("mocked", "mock"),
    ),
    (
        ("loved", "love"),
        ("enjoyed", "enjoy"),
        ("adored", "adore"),
        ("admired", "admire"),
        ("praised", "praise"),
        ("liked", "like"),
    ),
)

INTENSIFIERS = ("very", "really", "truly", "quite", "simply", "so", "rather", "utterly")
NEGATIONS = ("not", "never", "hardly", "far from", "anything but", "not at all")
PRONOUNS = ("I", "we", "they")
RELATIVES = ("sister", "brother", "cousin", "uncle", "aunt", "mother", "father", "friend")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
