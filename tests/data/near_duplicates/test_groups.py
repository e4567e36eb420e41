"""Look-alikes: the rules, the links and the groups, against a comparison of all pairs."""

from collections.abc import Iterable
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from copies import CHANGES, as_read, soft_pattern
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from roadclear.data.near_duplicates.groups import group, look_alikes
from roadclear.data.near_duplicates.rules import COPY, LOOK_ALIKE, SAME_SHOT, Rule, hash_distance
from roadclear.features.backbone.graph import build
from roadclear.features.backbone.weights import load_weights
from roadclear.features.engine import open_engine
from roadclear.images.phash import fingerprint

pytestmark = pytest.mark.slow

Hashes = NDArray[np.uint64]
Embeddings = NDArray[np.float32]
RULES = {"COPY": COPY, "LOOK_ALIKE": LOOK_ALIKE, "SAME_SHOT": SAME_SHOT, "identical": Rule(0, 0.999, 0, 0.999)}


def all_matches(fingerprints: Hashes, embeddings: Embeddings | None, rule: Rule) -> NDArray[np.bool_]:
    """The definition, on all pairs: [n, n]."""
    a, b = fingerprints[:, None], fingerprints[None]
    tries = [a[..., 0] ^ b[..., v] for v in range(a.shape[-1])] + [a[..., v] ^ b[..., 0] for v in range(a.shape[-1])]
    bits = np.min([np.bitwise_count(t) for t in tries], axis=0)
    if embeddings is None:
        return bits <= rule.bits
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=1)
    cosines = (
        embeddings.astype(np.float64) @ embeddings.T.astype(np.float64) / np.maximum(np.outer(lengths, lengths), 1e-30)
    )
    joint = (bits <= rule.joint_bits) & (cosines >= rule.joint_cosine)
    return (bits <= rule.bits) | (cosines >= rule.cosine) | joint


def all_groups(matches: NDArray[np.bool_]) -> list[int]:
    """Connected components by a search, numbered by first appearance."""
    groups = [-1] * len(matches)
    for start in range(len(matches)):
        waiting = [start] if groups[start] < 0 else []
        number = max(groups, default=-1) + 1
        while waiting:
            i = waiting.pop()
            if groups[i] < 0:
                groups[i] = number
                waiting.extend(np.flatnonzero(matches[i]).tolist())
    return groups


def crowd(n: int, seed: int, spread: int) -> tuple[Hashes, Embeddings]:
    """Items in chains: each is a random one, or an earlier one a little changed, at times mirrored."""
    random = np.random.default_rng(seed)
    fingerprints = random.integers(0, 2**64, (n, 2), dtype=np.uint64)
    embeddings = np.maximum(random.standard_normal((n, 40)), 0).astype(np.float32)
    for i in range(1, n):
        if random.random() < 0.7:
            other = random.integers(i)
            fingerprints[i] = fingerprints[other][:: random.choice([1, -1])]
            for bit in random.integers(0, 64, random.integers(0, spread + 1), dtype=np.uint64):
                fingerprints[i] ^= np.uint64(1) << bit
        if random.random() < 0.5:
            other = random.integers(i)
            noise = random.standard_normal(40) * random.uniform(0, 0.6)
            embeddings[i] = np.maximum(embeddings[other] + noise, 0)
    return fingerprints, embeddings


crowds = st.builds(crowd, st.integers(0, 40), st.integers(0, 2**32 - 1), st.integers(0, 14))
rules = st.sampled_from(list(RULES.values()))
few = settings(max_examples=15, deadline=None)


class TestRules:
    def test_a_stricter_rule_matches_fewer_pairs(self) -> None:
        for strict, generous in pairwise([SAME_SHOT, COPY, LOOK_ALIKE]):
            assert strict.bits <= generous.bits
            assert strict.cosine >= generous.cosine
            assert strict.joint_bits <= generous.joint_bits
            assert strict.joint_cosine >= generous.joint_cosine

    @given(crowds)
    def test_the_distance_is_symmetric_and_that_of_the_definition(self, items: tuple[Hashes, Embeddings]) -> None:
        fingerprints, _ = items
        i, j = np.indices((len(fingerprints),) * 2).reshape(2, -1)
        found = hash_distance(fingerprints[i], fingerprints[j])
        assert np.array_equal(found, hash_distance(fingerprints[j], fingerprints[i]))
        for radius in (0, 3, 8):
            expected = all_matches(fingerprints, None, Rule(radius, 1, radius, 1))
            assert np.array_equal((found <= radius).reshape(expected.shape), expected)


class TestLinks:
    @few
    @given(crowds, rules, st.booleans())
    def test_they_are_true_matches_and_connect_what_all_matches_connect(
        self, items: tuple[Hashes, Embeddings], rule: Rule, with_embeddings: bool
    ) -> None:
        fingerprints, embeddings = items[0], items[1] if with_embeddings else None
        matches = all_matches(fingerprints, embeddings, rule)
        links = look_alikes(fingerprints, embeddings, rule)
        assert links.dtype == np.intp
        assert links.shape == (len(links), 2)
        assert (links[:, 0] < links[:, 1]).all()
        assert links.tolist() == sorted(links.tolist())
        assert matches[links[:, 0], links[:, 1]].all()
        linked = np.zeros_like(matches)
        linked[links[:, 0], links[:, 1]] = linked[links[:, 1], links[:, 0]] = True
        assert all_groups(linked) == all_groups(matches)
        assert len(links) == len(fingerprints) - len(set(all_groups(matches)))

    @few
    @given(crowds, rules)
    def test_they_are_the_same_every_time(self, items: tuple[Hashes, Embeddings], rule: Rule) -> None:
        assert np.array_equal(look_alikes(*items, rule), look_alikes(*items, rule))

    @pytest.mark.parametrize("radius", range(10))
    def test_every_radius_is_searched_whole(self, radius: int) -> None:
        """Bits anywhere in the hash, all in one place, and spread evenly; one bit more is too many."""
        random = np.random.default_rng(radius)
        rule = Rule(radius, 1, radius, 1)
        for bits in [*(random.permutation(64) for _ in range(10)), range(64), range(63, -1, -1), range(0, 64, 5)]:
            for flips, expected in ((radius, 1), (radius + 1, 0)):
                hashes = random.integers(0, 2**64, (2, 2), dtype=np.uint64)
                hashes[1] = hashes[0] ^ np.uint64(sum(1 << int(bit) for bit in list(bits)[:flips]))
                assert len(look_alikes(hashes, None, rule)) == expected


class TestGroups:
    @few
    @given(crowds, rules, st.booleans())
    def test_they_are_connected_components(
        self, items: tuple[Hashes, Embeddings], rule: Rule, with_embeddings: bool
    ) -> None:
        fingerprints, embeddings = items[0], items[1] if with_embeddings else None
        found = group(fingerprints, embeddings, rule, largest=len(fingerprints))
        assert found.dtype == np.intp
        assert found.tolist() == all_groups(all_matches(fingerprints, embeddings, rule))

    @few
    @given(crowds, rules, st.integers(1, 20), st.randoms(use_true_random=False))
    def test_the_order_of_the_photos_does_not_matter(self, items, rule, largest, random) -> None:  # type: ignore[no-untyped-def]
        order = np.array(random.sample(range(len(items[0])), len(items[0])), dtype=np.intp)
        a = group(*items, rule, largest)
        b = group(items[0][order], items[1][order], rule, largest)
        assert np.array_equal((a[:, None] == a)[np.ix_(order, order)], b[:, None] == b)

    @few
    @given(crowds)
    def test_more_links_only_merge_groups(self, items: tuple[Hashes, Embeddings]) -> None:
        steps = [(SAME_SHOT, None), (COPY, None), (LOOK_ALIKE, None), (LOOK_ALIKE, items[1])]
        found = [group(items[0], embeddings, rule, largest=len(items[0])) for rule, embeddings in steps]
        for finer, coarser in pairwise(found):
            assert len(set(zip(finer.tolist(), coarser.tolist(), strict=True))) == len(set(finer.tolist()))

    @few
    @given(crowds, st.integers(1, 20))
    def test_too_large_ones_are_grouped_by_stricter_rules(self, items: tuple[Hashes, Embeddings], largest: int) -> None:
        found = group(*items, LOOK_ALIKE, largest)
        by_rule = [group(*items, rule, len(items[0])) for rule in (LOOK_ALIKE, COPY, SAME_SHOT)]
        for photo, number in enumerate(found):
            members = (found == number).tolist()
            whole = [(groups == groups[photo]) for groups in by_rule]
            fitting = [group_ for group_ in whole if group_.sum() <= largest]
            assert members == (fitting[0] if fitting else whole[-1]).tolist()

    @pytest.mark.parametrize(
        ("length", "photos", "whole"), [(5, 40, True), (6, 40, False), (9, 90, True), (9, 89, False)]
    )
    def test_by_default_more_than_a_tenth_and_more_than_five_is_too_large(
        self, length: int, photos: int, whole: bool
    ) -> None:
        """A chain of photos, each 7 bits from the last: near enough for LOOK_ALIKE, too far for the stricter rules."""
        random = np.random.default_rng(0)
        hashes = random.integers(0, 2**64, (photos, 1), dtype=np.uint64)
        for i in range(1, length):
            hashes[i] = hashes[i - 1] ^ np.uint64(sum(1 << int(bit) for bit in random.permutation(64)[:7]))
        assert len(set(group(hashes, None)[:length].tolist())) == (1 if whole else length)


class TestDegenerate:
    @pytest.mark.parametrize("embeddings", [None, np.empty((0, 1280), np.float32)])
    def test_no_photos(self, embeddings: Embeddings | None) -> None:
        assert look_alikes(np.empty((0, 2), np.uint64), embeddings).shape == (0, 2)
        assert group(np.empty((0, 2), np.uint64), embeddings).tolist() == []

    @pytest.mark.parametrize("embeddings", [None, np.ones((1, 1280), np.float32)])
    def test_one_photo(self, embeddings: Embeddings | None) -> None:
        assert look_alikes(np.ones((1, 2), np.uint64), embeddings).shape == (0, 2)
        assert group(np.ones((1, 2), np.uint64), embeddings).tolist() == [0]

    def test_twenty_thousand_blank_pictures(self) -> None:
        links = look_alikes(np.zeros((20_000, 2), np.uint64), np.ones((20_000, 16), np.float32))
        assert len(links) == 19_999
        assert (group(np.zeros((20_000, 2), np.uint64), np.ones((20_000, 16), np.float32)) == 0).all()

    def test_five_thousand_pictures_of_one_embedding(self) -> None:
        hashes = np.random.default_rng(0).integers(0, 2**64, (5_000, 2), dtype=np.uint64)
        assert (group(hashes, np.ones((5_000, 16), np.float32)) == 0).all()

    def test_twenty_thousand_frames_of_one_camera(self) -> None:
        random = np.random.default_rng(0)
        hashes = np.zeros((20_000, 2), np.uint64)
        for _ in range(3):
            hashes ^= np.uint64(1) << random.integers(0, 64, (20_000, 1), dtype=np.uint64)
        assert (group(hashes, None, LOOK_ALIKE, largest=20_000) == 0).all()

    def test_embeddings_of_zeros_are_like_no_other(self) -> None:
        hashes = np.random.default_rng(0).integers(0, 2**64, (20, 2), dtype=np.uint64)
        assert len(look_alikes(hashes, np.zeros((20, 1280), np.float32))) == 0


class TestManyEmbeddings:
    """Enough photos for the search by sketches, of 1280 numbers each."""

    def test_none_is_missed(self) -> None:
        random = np.random.default_rng(0)
        n = 2500
        directions = random.standard_normal((300, 1280))
        embeddings = np.maximum(random.standard_normal((n, 300)) @ directions / 17 + 0.3, 0).astype(np.float32)
        copies = np.arange(9, n, 10)
        lengths = np.linalg.norm(embeddings[copies - 3], axis=1, keepdims=True)
        noise = random.standard_normal((len(copies), 1280)) * lengths / np.sqrt(1280)
        embeddings[copies] = embeddings[copies - 3] + noise * random.uniform(0, 0.55, (len(copies), 1))
        fingerprints = random.integers(0, 2**64, (n, 2), dtype=np.uint64)
        matches = np.triu(all_matches(fingerprints, embeddings, LOOK_ALIKE), 1)
        assert 150 < matches.sum() < 300
        assert look_alikes(fingerprints, embeddings).tolist() == np.argwhere(matches).tolist()

    @pytest.mark.parametrize(("noise", "bits"), [(0.42, 64), (0.34, 64), (0.42, 9), (0.2, 64)])
    def test_none_is_missed_where_all_are_somewhat_alike(self, noise: float, bits: int) -> None:
        """Mean cosines of 0.85, 0.9 and 0.96: of none up to all pairs match, and of many the cosine is at a limit."""
        random = np.random.default_rng(0)
        n = 2500
        embeddings = (1 + noise * random.standard_normal((n, 200))).astype(np.float32)
        embeddings *= random.uniform(0.5, 2, (n, 1)).astype(np.float32)
        fingerprints = random.integers(0, 2**bits, (n, 2), dtype=np.uint64)
        matches = all_matches(fingerprints, embeddings, LOOK_ALIKE)
        assert group(fingerprints, embeddings, largest=n).tolist() == all_groups(matches)


class Looks:
    """Fingerprints and embeddings of photos as they are read."""

    def __init__(self) -> None:
        self.engine = open_engine(build(load_weights(), 224).SerializeToString(), ["embedding"], "openvino", "f32")

    def __call__(self, photos: Iterable[Image.Image]) -> tuple[Hashes, Embeddings]:
        pixels = [as_read(photo) for photo in photos]
        return np.stack([fingerprint(p) for p in pixels]), np.stack([self.engine.infer(p)["embedding"] for p in pixels])


@pytest.fixture(scope="module")
def looks() -> Looks:
    return Looks()


@pytest.fixture(scope="module")
def real_photos(roads: Path) -> list[Image.Image]:
    """Thirty of different scenes, always the same ones."""
    files = sorted(file for file in roads.glob("*/*.jpg") if file.name.startswith(("webped", "intelstreet")))
    chosen = np.random.default_rng(0).choice(len(files), 30, replace=False)
    return [Image.open(BytesIO(files[i].read_bytes())).convert("RGB") for i in chosen]


@pytest.fixture(scope="module")
def real_looks(real_photos: list[Image.Image], looks: Looks) -> tuple[Hashes, Embeddings]:
    return looks(real_photos)


def share_found(originals: tuple[Hashes, Embeddings], copies: tuple[Hashes, Embeddings], rule: Rule) -> float:
    pairs = zip(*originals, *copies, strict=True)
    return float(np.mean([len(look_alikes(np.stack([f, g]), np.stack([e, d]), rule)) for f, e, g, d in pairs]))


class TestChangedCopies:
    @pytest.mark.parametrize(
        ("change", "by_copy", "by_look_alike"),
        [
            ("resized", 1, 1),
            ("squeezed", 1, 1),
            ("grey", 1, 1),
            ("mirrored", 1, 1),
            ("lighter", 1, 1),
            ("darker", 1, 1),
            ("cropped", 0.95, 0.96),
            ("cropped in a corner", 0.9, 0.96),
            ("rotated", 0.9, 0.96),
            ("bordered", 0.1, 0.5),
        ],
    )
    def test_of_real_photos_are_found(  # type: ignore[no-untyped-def]
        self, change: str, by_copy: float, by_look_alike: float, real_photos, real_looks, looks: Looks
    ) -> None:
        """At least this share of them; the shares measured on all the photos are a little higher."""
        copies = looks(map(CHANGES[change], real_photos))
        assert share_found(real_looks, copies, COPY) >= by_copy
        assert share_found(real_looks, copies, LOOK_ALIKE) >= by_look_alike

    @pytest.mark.parametrize("change", ["resized", "squeezed", "grey", "mirrored", "lighter", "darker", "cropped"])
    def test_of_drawn_photos_are_found(self, change: str, looks: Looks) -> None:
        photos = [soft_pattern(seed) for seed in range(5)]
        assert share_found(looks(photos), looks(map(CHANGES[change], photos)), LOOK_ALIKE) == 1

    def test_different_real_photos_are_none(self, real_looks: tuple[Hashes, Embeddings]) -> None:
        assert look_alikes(*real_looks, LOOK_ALIKE).tolist() == []
