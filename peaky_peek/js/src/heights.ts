/** The heights of many things below each other, most of them guessed: where one begins and what is at a place, in O(log n). */
export class Heights {
  private readonly sums: Float64Array;
  private readonly heights: Float64Array;

  constructor(heights: ArrayLike<number>) {
    const n = heights.length;
    this.heights = Float64Array.from(heights);
    this.sums = new Float64Array(n + 1);
    for (let i = 1; i <= n; i++) {
      this.sums[i] += this.heights[i - 1];
      const above = i + (i & -i);
      if (above <= n) this.sums[above] += this.sums[i];
    }
  }

  get count(): number {
    return this.heights.length;
  }

  get total(): number {
    return this.top(this.count);
  }

  of(place: number): number {
    return this.heights[place];
  }

  set(place: number, height: number): void {
    const change = height - this.heights[place];
    this.heights[place] = height;
    for (let i = place + 1; i < this.sums.length; i += i & -i) this.sums[i] += change;
  }

  /** Where a place begins. */
  top(place: number): number {
    let sum = 0;
    for (let i = place; i > 0; i -= i & -i) sum += this.sums[i];
    return sum;
  }

  /** The place at `y`; the first or last where there is none. */
  at(y: number): number {
    let place = 0;
    let left = y;
    for (let step = 2 ** Math.floor(Math.log2(Math.max(1, this.count))); step > 0; step /= 2) {
      if (place + step <= this.count && this.sums[place + step] <= left) {
        place += step;
        left -= this.sums[place];
      }
    }
    return Math.max(0, Math.min(this.count - 1, place));
  }
}
