import { describe, expect, it } from "vitest";
import { Heights } from "../src/heights";

describe("heights", () => {
  it("finds tops and places like plain sums, also after changes", () => {
    const plain = Array.from({ length: 100 }, (_, i) => 10 + ((i * 37) % 23));
    const heights = new Heights(plain);
    for (const [place, height] of [
      [0, 3],
      [64, 400],
      [99, 1.5],
    ]) {
      plain[place] = height;
      heights.set(place, height);
    }
    let top = 0;
    plain.forEach((height, place) => {
      expect(heights.top(place)).toBeCloseTo(top);
      expect(heights.at(top)).toBe(place);
      expect(heights.at(top + height - 0.01)).toBe(place);
      top += height;
    });
    expect(heights.total).toBeCloseTo(top);
  });

  it("stays inside where there is nothing", () => {
    expect(new Heights([5, 5]).at(1e9)).toBe(1);
    expect(new Heights([5, 5]).at(-1)).toBe(0);
    expect(new Heights([]).at(3)).toBe(0);
    expect(new Heights([]).total).toBe(0);
  });
});
