import { expect, test } from "vitest";
import { FAILED_RANK, Outline, SUSPECT_RANK } from "../src/layout";
import { FAILED, SUSPECT } from "../src/wire";

/**
 * 0
 * ├ 1
 * │ ├ 2 failed
 * │ └ 3 suspect
 * └ 4
 *   └ 5
 * 6
 */
function outline(): Outline {
  const parent = Int32Array.of(-1, 0, 1, 1, 0, 4, -1);
  const flags = Uint8Array.of(0, 0, FAILED, SUSPECT, 0, 0, 0);
  return new Outline(parent, flags, new Uint8Array(7).fill(40));
}
const shown = (of: Outline) => [...of.shown.subarray(0, of.count)];

test("rows know their depth and where their subtree ends", () => {
  const tree = outline();
  expect([...tree.depth]).toEqual([0, 1, 2, 2, 1, 2, 0]);
  expect([...tree.end]).toEqual([6, 4, 3, 4, 6, 6, 7]);
  expect(shown(tree)).toEqual([0, 1, 2, 3, 4, 5, 6]);
});

test("a collapsed row hides its subtree and shows what it hides", () => {
  const tree = outline();
  tree.setCollapsed(1, true);
  expect(shown(tree)).toEqual([0, 1, 4, 5, 6]);
  expect(tree.hidden(1)).toEqual({ rows: 2, failed: 1, suspect: 1 });
  expect(tree.rank[1]).toBe(FAILED_RANK);
  tree.setCollapsed(0, true);
  expect(shown(tree)).toEqual([0, 6]);
  expect(tree.hidden(0)).toEqual({ rows: 5, failed: 1, suspect: 1 });
  tree.setCollapsed(0, false);
  expect(shown(tree)).toEqual([0, 1, 4, 5, 6]);
});

test("collapse all keeps the roots open, expand all opens everything", () => {
  const tree = outline();
  tree.collapseAll();
  expect(shown(tree)).toEqual([0, 1, 4, 6]);
  tree.expandAll();
  expect(tree.count).toBe(7);
});

test("a filter shows the matches and the way to them, and gives back what was collapsed", () => {
  const tree = outline();
  tree.setCollapsed(1, true);
  tree.filter(Uint8Array.of(0, 0, 0, 1, 0, 0, 0));
  expect(shown(tree)).toEqual([0, 1, 3]);
  expect([0, 1, 3].map((row) => tree.matches(row))).toEqual([false, false, true]);
  expect(tree.hasChildren(3)).toBe(false);
  tree.filter(null);
  expect(shown(tree)).toEqual([0, 1, 4, 5, 6]);
});

test("a filter that nothing matches shows nothing", () => {
  const tree = outline();
  tree.filter(new Uint8Array(7));
  expect(tree.count).toBe(0);
});

test("revealing a row opens what is above it, and a filtered row stays away", () => {
  const tree = outline();
  tree.collapseAll();
  expect(tree.reveal(5)).toBe(true);
  expect(shown(tree)).toEqual([0, 1, 4, 5, 6]);
  tree.filter(Uint8Array.of(0, 0, 1, 0, 0, 0, 0));
  expect(tree.reveal(5)).toBe(false);
});

test("the next failure goes round, and there may be none", () => {
  const tree = outline();
  expect([0, 2, 6].map((row) => tree.nextFailure(row))).toEqual([2, 2, 2]);
  expect(new Outline(Int32Array.of(-1), Uint8Array.of(0), Uint8Array.of(0)).nextFailure(0)).toBe(-1);
});

test("the last shown child is where a guide ends", () => {
  const tree = outline();
  expect([...tree.lastChild]).toEqual([4, 3, -1, -1, 5, -1, -1]);
});

test("an important row never outranks a suspect or failed one", () => {
  const tree = new Outline(Int32Array.of(-1, -1, -1), Uint8Array.of(0, SUSPECT, FAILED), Uint8Array.of(255, 0, 0));
  expect(tree.rank[0]).toBeLessThan(SUSPECT_RANK);
  expect([...tree.rank.subarray(1)]).toEqual([SUSPECT_RANK, FAILED_RANK]);
});

test("a chain of a hundred thousand steps and a session of none are outlines too", () => {
  const n = 100_000;
  const chain = new Outline(
    Int32Array.from({ length: n }, (_, row) => row - 1),
    new Uint8Array(n),
    new Uint8Array(n),
  );
  expect(chain.deepest).toBe(n - 1);
  chain.setCollapsed(10, true);
  expect(chain.count).toBe(11);
  expect(new Outline(new Int32Array(0), new Uint8Array(0), new Uint8Array(0)).count).toBe(0);
});
