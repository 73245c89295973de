import { expect, test } from "vitest";
import { Outline } from "../src/layout";
import { type Forks, NodeLink } from "../src/nodelink";

/**
 * 0 agent
 * ├ 1 answer
 * ├ 2 decision, read from 1
 * ├ 3 what it chose
 * │ └ 4
 * ├ 5 answer
 * └ 6 decision, read from 5, that came to nothing
 */
const PARENT = [-1, 0, 0, 0, 3, 0, 0];
const forks = (more: Partial<Forks> = {}): Forks => ({
  row: Int32Array.of(2, 6),
  chosen: Uint16Array.of(1, 0),
  asked: Uint16Array.of(1, 1),
  count: Uint16Array.of(2, 1),
  list: Uint32Array.of(0, 0),
  lists: { length: 1, at: () => "one\ntwo" },
  ...more,
});

function outline(parent: ArrayLike<number> = PARENT): Outline {
  const n = parent.length;
  return new Outline(Int32Array.from(parent), new Uint8Array(n), new Uint8Array(n));
}
const laid = (tree = outline(), of: Forks | null = forks()) => new NodeLink(tree, of, () => 8);
const lineOf = (layout: NodeLink, row: number) => layout.line[layout.place[row]];

test("an answer, what it decided and what it chose stand on one line, and the alternatives on the next", () => {
  const layout = laid();
  expect([...layout.node.subarray(0, layout.count)]).toEqual([0, 1, 2, 3, 4, -1, 5, 6, -2]);
  expect([0, 1, 2, 3, 4, 5, 6].map((row) => lineOf(layout, row))).toEqual([0, 0, 0, 0, 0, 2, 2]);
  expect([...layout.line.subarray(0, layout.count)]).toEqual([0, 0, 0, 0, 0, 1, 2, 2, 3]);
  expect(layout.lines).toBe(4);
});

test("without forks every step hangs where it happened", () => {
  const layout = laid(outline(), null);
  expect([...layout.up]).toEqual(PARENT);
  expect(layout.count).toBe(7);
});

test("arrows lead to parents, children and siblings, and stay at the ends", () => {
  const layout = laid();
  expect(layout.walk("ArrowRight", 1)).toBe(2);
  expect(layout.walk("ArrowRight", 2)).toBe(3);
  expect(layout.walk("ArrowLeft", 3)).toBe(2);
  expect(layout.walk("ArrowDown", 4)).toBe(5);
  expect(layout.walk("ArrowUp", 5)).toBe(1);
  expect(layout.walk("ArrowUp", 1)).toBe(0);
  expect(layout.walk("ArrowLeft", 0)).toBe(0);
  expect(layout.walk("ArrowRight", 4)).toBe(4);
  expect(layout.walk("ArrowDown", 6)).toBe(6);
});

test("what is folded away or filtered out has no place, and what it chose hangs where it happened", () => {
  const tree = outline();
  tree.filter(Uint8Array.of(0, 1, 0, 1, 0, 0, 0));
  const layout = laid(tree);
  expect([...layout.node.subarray(0, layout.count)]).toEqual([0, 1, 3]);
  expect(layout.place[2]).toBe(-1);
  expect(layout.up[3]).toBe(0);
});

test("forks that cannot be do no harm", () => {
  const wild = forks({ row: Int32Array.of(2, 99), chosen: Int32Array.of(-1, 3), asked: Int32Array.of(-4, 7) });
  const layout = laid(outline(), wild);
  expect(layout.count).toBe(8);
  expect([...layout.up]).toEqual(PARENT);
});

test("nothing has no lines", () => {
  const layout = laid(outline([]), null);
  expect([layout.count, layout.lines, layout.levels]).toEqual([0, 0, 0]);
});

/** A random tree with random forks, the same for each seed. */
function random(n: number, seed: number): [Outline, Forks] {
  let state = seed;
  const below = (limit: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const path: number[] = [];
  const parent = Array.from({ length: n }, (_, row) => {
    path.length = Math.min(path.length, below(path.length + 2));
    path.push(row);
    return path.at(-2) ?? -1;
  });
  const row = Int32Array.from({ length: n >> 2 }, (_, at) => 4 * at + below(4));
  const forked = forks({
    row,
    chosen: row.map(() => below(12) - 3),
    asked: row.map(() => below(12) - 3),
    count: new Uint16Array(row.length).map(() => below(4)),
    list: new Uint32Array(row.length),
  });
  return [outline(parent), forked];
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])("no two nodes meet, and each stands after what it hangs under (%i)", (seed) => {
  const [tree, forked] = random(10 * seed * seed, seed);
  if (seed % 2) tree.filter(new Uint8Array(tree.rows).map((_, row) => Number(row % 3 !== 1)));
  const layout = laid(tree, forked);
  const taken = new Set<string>();
  for (let place = 0; place < layout.count; place++) {
    const at = `${layout.line[place]} ${layout.level[place]}`;
    expect(taken.has(at)).toBe(false);
    taken.add(at);
    const above = layout.parent[place];
    if (above < 0) continue;
    expect(above).toBeLessThan(place);
    expect(layout.level[place]).toBe(layout.level[above] + 1);
    expect(layout.line[place]).toBeGreaterThanOrEqual(layout.line[above]);
    expect(layout.startOf(layout.line[place])).toBeLessThanOrEqual(place);
  }
  const rows = [...layout.node.subarray(0, layout.count)].filter((node) => node >= 0);
  expect(rows.sort((a, b) => a - b)).toEqual([...tree.shown.subarray(0, tree.count)]);
});

test("of two nodes on a line the label of the first ends before the second begins", () => {
  const layout = new NodeLink(outline(), forks(), () => 24);
  for (let level = 0; level < layout.levels; level++) {
    expect(layout.x[level + 1] - layout.x[level]).toBeGreaterThanOrEqual(72);
  }
});

test("a hundred thousand steps in one line or one column are laid out", () => {
  const n = 100_000;
  expect(laid(outline(Array.from({ length: n }, (_, row) => row - 1)), null).lines).toBe(1);
  expect(laid(outline(Array.from({ length: n }, (_, row) => (row === 0 ? -1 : 0))), null).lines).toBe(n - 1);
});
