import { expect, test } from "vitest";
import { Outline } from "../src/layout";
import { lines } from "../src/strips";
import { ROW, Viewport } from "../src/viewport";
import { type Columns, FAILED } from "../src/wire";

function viewport(count: number, height = 440): Viewport {
  const made = new Viewport();
  made.resize(height, count);
  return made;
}

test("only rows in view are in the range", () => {
  const view = viewport(100_000);
  expect(view.range()).toEqual([0, 20]);
  view.scrollBy(5 * ROW + 3);
  expect(view.range()).toEqual([5, 26]);
  expect(view.placeAt(view.y(7) + 1)).toBe(7);
});

test("scrolling stops at both ends and says so, that the page may scroll on", () => {
  const view = viewport(100);
  expect(view.scrollBy(-10)).toBe(false);
  expect(view.scrollBy(1e9)).toBe(true);
  expect(view.scrollBy(1)).toBe(false);
  expect(view.range()).toEqual([80, 100]);
  expect(viewport(3).scrollBy(10)).toBe(false);
});

test("zooming keeps the place under the pointer", () => {
  const view = viewport(10_000);
  view.scrollBy(5_000 * ROW);
  const place = view.placeAt(200);
  view.zoom(0.2, 200);
  expect(view.placeAt(200)).toBe(place);
  expect(view.hasText).toBe(false);
});

test("zoomed out as far as it goes, everything is in view", () => {
  const view = viewport(100_000);
  view.zoom(1e-9, 0);
  expect(view.range()).toEqual([0, 100_000]);
  view.resetZoom(0);
  expect(view.rowHeight).toBe(ROW);
});

test("a few rows are never made smaller than readable", () => {
  const view = viewport(5);
  view.zoom(0.01, 0);
  expect(view.rowHeight).toBe(ROW);
});

test("revealing scrolls as little as needed, and centres what is far", () => {
  const view = viewport(1_000);
  view.reveal(5);
  expect(view.range()[0]).toBe(0);
  view.reveal(21);
  expect(view.range()).toEqual([2, 22]);
  view.reveal(500);
  expect(view.placeAt(220)).toBe(500);
});

function session(n: number, failed: number[]) {
  const flags = new Uint8Array(n);
  for (const row of failed) flags[row] = FAILED;
  const outline = new Outline(new Int32Array(n).fill(-1), flags, new Uint8Array(n).fill(200));
  const columns = { duration: new Float32Array(n).fill(Number.NaN) } as unknown as Columns;
  return { outline, columns };
}

test("where many rows share a line of pixels, a failure stands for them all", () => {
  const failed = [3, 4_999, 50_123, 99_999];
  const view = viewport(100_000);
  view.zoom(1e-9, 0);
  const drawn = lines({ viewport: view, ...session(100_000, failed) });
  expect(drawn.filter(({ rank }) => rank === 255).map(({ row }) => row)).toEqual(failed);
});

test("a frame has at most some two thousand marks, whatever the size of the view", () => {
  for (const height of [100, 480, 3_000]) {
    const view = viewport(100_000, height);
    for (let i = 0; i < 12; i++) {
      view.zoom(0.4, 0);
      if (!view.hasText) expect(lines({ viewport: view, ...session(100_000, []) }).length * 3).toBeLessThan(2_000);
    }
  }
});

test("lines neither overlap nor leave gaps", () => {
  const view = viewport(1_500);
  view.zoom(0.03, 0);
  view.scrollBy(7.3);
  const drawn = lines({ viewport: view, ...session(1_500, []) });
  drawn.slice(1).forEach((line, i) => {
    expect(line.y).toBeCloseTo(drawn[i].y + drawn[i].height);
  });
});
