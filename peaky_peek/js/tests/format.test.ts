import { expect, test } from "vitest";
import { cost, count, duration } from "../src/format";
import { ellipsis, oneLine, visible } from "../src/text";
import { golden } from "./golden";

test("numbers read as they do in Python", () => {
  const wanted = golden("formats");
  for (const [ms, text] of wanted.duration) expect(duration(ms)).toBe(text);
  for (const [usd, text] of wanted.cost) expect(cost(usd)).toBe(text);
  for (const [n, text] of wanted.count) expect(count(n, "step")).toBe(text);
});

test("unknown is nothing, and zero is zero", () => {
  expect([Number.NaN, null, undefined].flatMap((unknown) => [duration(unknown), cost(unknown)]).join("")).toBe("");
  expect([duration(0), cost(0)]).toEqual(["0 ms", "$0"]);
});

test("what acts unseen is shown", () => {
  expect(visible("\x1b[31mred\x1b[0m")).toBe("red");
  expect(visible("a\x00b\x7f\x1b")).toBe("a␀b␡␛");
  expect(visible("\u202eevil\u2066")).toBe("\\u202eevil\\u2066");
  expect(visible("lone \ud800 and \udc00")).toBe("lone \\ud800 and \\udc00");
  expect(visible("tag \u{e0041}")).toBe("tag \\u{e0041}");
});

test("honest text stays as it is", () => {
  for (const text of ["שלום", "مرحبا", "👩‍👩‍👧", "日本語", "tab\tand\nline", "<script>"])
    expect(visible(text)).toBe(text);
});

test("one line has no breaks and no length without end", () => {
  expect(oneLine("a\n\n  b\tc ")).toBe("a b c");
  expect(oneLine("x".repeat(10_000_000)).length).toBe(300);
});

test("an ellipsis fits, and cuts no character in two", () => {
  const wide = (text: string) => text.length * 10;
  expect(ellipsis("short", 50, wide)).toBe("short");
  expect(ellipsis("much too long", 60, wide)).toBe("much…");
  expect(ellipsis("ab😀cd", 45, wide)).toBe("ab…");
  expect(ellipsis("anything", 5, wide)).toBe("");
  expect(ellipsis("anything", -5, wide)).toBe("");
});
