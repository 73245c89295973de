import { expect, test, vi } from "vitest";
import { press } from "../src/keyboard";
import { Outline } from "../src/layout";

const outline = () => new Outline(Int32Array.of(-1, 0, 1, 0), new Uint8Array(4), new Uint8Array(4));

function type(key: string, cursor: number, more: Partial<KeyboardEvent> = {}) {
  const commands = {
    walk: vi.fn(),
    collapse: vi.fn(),
    inspect: vi.fn(),
    focusFilter: vi.fn(),
    escape: vi.fn(),
    nextFailure: vi.fn(),
    zoom: vi.fn(),
    resetZoom: vi.fn(),
  };
  const tree = outline();
  tree.setCollapsed(1, more.repeat ?? false);
  const used = press({ key, shiftKey: false, ...more } as KeyboardEvent, tree, cursor, 2, commands);
  return { used, ...commands };
}

test.each([
  ["ArrowDown", 0, 1],
  ["ArrowUp", 0, 0],
  ["ArrowDown", 3, 3],
  ["PageDown", 0, 2],
  ["End", 0, 3],
  ["Home", 3, 0],
  ["ArrowRight", 0, 1],
  ["ArrowLeft", 2, 1],
])("%s at row %i walks to place %i", (key, cursor, place) => {
  expect(type(key, cursor).walk).toHaveBeenCalledWith(place, false);
});

test("left closes an open row, right opens a closed one", () => {
  expect(type("ArrowLeft", 1).collapse).toHaveBeenCalledWith(1, true);
  expect(type("ArrowRight", 1, { repeat: true }).collapse).toHaveBeenCalledWith(1, false);
});

test("shift extends the selection", () => {
  expect(type("ArrowDown", 0, { shiftKey: true }).walk).toHaveBeenCalledWith(1, true);
});

test("enter reads, slash filters, escape leaves, n finds the next failure", () => {
  expect(type("Enter", 2).inspect).toHaveBeenCalledWith(2);
  expect(type("/", 2).focusFilter).toHaveBeenCalled();
  expect(type("Escape", 2).escape).toHaveBeenCalled();
  expect(type("n", 2).nextFailure).toHaveBeenCalled();
});

test("where a filter left no rows, the filter can still be changed", () => {
  const tree = outline();
  tree.filter(new Uint8Array(4));
  const left = vi.fn();
  const commands = { escape: left } as unknown as Parameters<typeof press>[4];
  expect(press({ key: "Escape" } as KeyboardEvent, tree, 0, 2, commands)).toBe(true);
  expect(press({ key: "ArrowDown" } as KeyboardEvent, tree, 0, 2, commands)).toBe(false);
  expect(left).toHaveBeenCalled();
});

test("the browser keeps its own shortcuts, and every other key", () => {
  expect(type("ArrowDown", 0, { ctrlKey: true }).used).toBe(false);
  expect(type("-", 0, { metaKey: true }).used).toBe(false);
  expect(type("toString", 0).used).toBe(false);
  expect(type("q", 0).used).toBe(false);
});
