import { expect, test } from "vitest";
import type { OutlineRow } from "../src/model";
import { savedColumns } from "../src/saved";
import { FAILED } from "../src/wire";
import { golden } from "./golden";

test("the saved outline is the tree it was", () => {
  const lines: Exclude<OutlineRow, { gap: number }>[] = golden("outline");
  const saved = savedColumns(lines);
  const depth = (row: number): number => (saved.parent[row] < 0 ? 0 : depth(saved.parent[row]) + 1);
  lines.forEach((line, row) => {
    expect(depth(row)).toBe(line.depth);
    expect(saved.name(row)).toBe(line.label);
    expect([saved.preview(row), saved.durationText(row), saved.costText(row)]).toEqual([
      line.text,
      line.duration,
      line.cost,
    ]);
    expect((saved.flags[row] & FAILED) !== 0).toBe(line.failed);
  });
});

test("a gap says how many steps are left out, and keeps the mark of those that failed", () => {
  const [root, ...others] = golden("outline");
  const saved = savedColumns([root, { gap: 1_204, failed: 3 }, ...others, { gap: 1, failed: 0 }]);
  expect(saved.name(1)).toBe("… 1,204 more steps, 3 failed");
  expect(saved.name(saved.rows - 1)).toBe("… 1 more step");
  expect(saved.parent[1]).toBe(0);
  expect(saved.flags[1] & FAILED).toBe(FAILED);
});
