"""Fingerprints as words that two people can compare over a telephone.

A byte is a word: those at even places come from one list of 256, those at odd places from another, so that a word that
is left out, doubled or swapped with its neighbour is heard at once. The words are this project's own choice: common
nouns, no two of them closer than two letters to one another.
"""

from __future__ import annotations

from typing import Final

_EVEN: Final = """
    acorn airport album almond anchor apron arcade armchair arrow aspen asphalt atlas autumn avocado bacon bagel
    ballet banana barley basket beaver birch bison bonfire border borough brigade bronze button cabbage calypso
    campus canoe captain cardinal carrot casino cauldron cedar celery cello chalet channel chariot chimney chocolate
    cider citrus clam coach cobalt cobra collar compass concert convoy coral cork corridor cotton cougar courier
    cranberry crane crater cricket crimson crown crystal cupboard cushion dancer delta dinner district dolphin
    domino doorway dormouse dragon driftwood eagle easel echo eclipse elephant elevator emerald envelope escort
    estate fabric falafel feather festival finger firefly flagpole flask flint forest frost garlic garnet geyser
    glove gondola goose gravel grotto hatchet hedgehog hemlock hermit heron holly honey hotel hurdle ibis igloo
    indigo jacket jaguar jockey judo kettle kiwi knapsack lapwing lather lavender lemon library lily limestone
    lizard lumber magpie maple market marmot marsh mattress medal milkman monarch morning mushroom narwhal needle
    newt nugget nutmeg oatmeal oboe octopus opera orange orchard oyster paddle pancake panther parade pasture
    peacock pencil penguin piano pickle pillow pirate plaza pollen porridge potato pretzel quail quarry quartz
    quiver rabbit radish ranger raven regatta reindeer rhino ribbon river rooster rosemary ruby salad salmon
    sapphire satchel saucer sausage scallop schooner scissors sequoia shadow shamrock sherbet shrimp shuttle
    snowball sofa soldier sponge spruce starfish statue steeple submarine summer sunflower sweater sycamore tarragon
    telescope thimble thistle thyme ticket tornado trailer trellis trout tuba tundra tuxedo uniform velvet viaduct
    vinegar viola voyage vulture wagon walkway walrus wedding whale wharf winter wombat woodland zebra zenith zigzag
    zither zucchini
""".split()  # noqa: SIM905  a list of 256 words reads better as text
_ODD: Final = """
    abbey admiral alpine amber antler anvil apple aquarium arbor attic badger badminton bakery balloon bamboo banjo
    barn beech beetle belfry bicycle biscuit blossom blueberry bobcat bobsled bookcase brewery bridge bucket buffalo
    bunker bureau butter cabin camel canary canvas canyon capital carbon carpet cashew castle cathedral cavern
    cement chalk chapel cheetah chipmunk chisel cinnamon circle citadel cliff clipper cloak coffee colony comet
    copper cormorant cradle crayon crocus cymbal cypress daffodil dagger dahlia daisy dawn deacon desert diamond
    dinosaur donkey drawer drummer duchess duet dungeon dusk dynamo emperor engine falcon fern fjord flamingo
    flannel flounder flute fossil fountain freckle furnace gadget gallery gander gazebo giraffe glacier goblet gong
    gorilla granite grape guitar gull halibut hammer hammock harp harvest hazel headlamp helmet hollow horizon
    hornet inkwell island ivory jackal jasmine jewel jigsaw jukebox jungle juniper kennel kimono kingdom koala
    ladder lagoon lantern lark leopard lettuce lichen lilac linen llama lobster locket locust lynx mahogany mandolin
    mantis marigold meadow melon mermaid meteor mink mirror mosaic moss muffin mulberry mustard napkin necklace
    nephew nickel nomad nozzle olive organ oven panda pansy papaya parka parsley pavilion peanut pebble perfume
    pilgrim pistachio plaster platinum polka poplar porcelain postcard prairie prism propeller pumpkin puppet
    pyramid radar raft railway raisin robin rubber rudder sable saffron sailor sandal sardine scarf seashell
    shepherd shovel silo silver skeleton spider spinach squirrel stadium stallion station stirrup sugar sulphur
    sultan tapestry teapot tempo thunder timber torch tortoise toucan towel trapeze triangle tulip tunnel turnip
    turquoise turtle umbrella vacuum vessel violin volcano waffle walnut whisker wicker wolf workshop wren yogurt
    zinc
""".split()  # noqa: SIM905  a list of 256 words reads better as text
GROUP: Final = 4
"""Words that are read in one breath."""


def words_of(fingerprint: str) -> tuple[str, ...]:
    """The words of a fingerprint: 32 for the 64 hex digits of a sha256. Raises ValueError for what is not hex."""
    return tuple((_ODD if place % 2 else _EVEN)[byte] for place, byte in enumerate(bytes.fromhex(fingerprint)))


def spoken(fingerprint: str) -> str:
    """The words in groups of four: `anchor banjo comet dolphin, ...`."""
    words = words_of(fingerprint)
    return ", ".join(" ".join(words[start : start + GROUP]) for start in range(0, len(words), GROUP))


def fingerprint_of(text: str) -> str:
    """The hex digits that words stand for, as a person typed them. Raises ValueError naming the first wrong place."""
    digits = []
    for place, word in enumerate(text.lower().replace(",", " ").split()):
        table = _ODD if place % 2 else _EVEN
        if word not in table:
            raise ValueError(f"word {place + 1} is not one of the words for its place")
        digits.append(f"{table.index(word):02x}")
    return "".join(digits)
