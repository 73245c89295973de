/** The steps and branches of a flow as they arrive, and where the branches are drawn. */
import type { Packed } from "./packed";

export interface Branch {
  /** Rows; -1 is the start, the number of rows the end. */
  source: number;
  target: number;
  a: number;
  b: number;
  /** NaN where nobody knows how the runs ended. */
  rate: number;
  /** How far from the rows it passes those that it leaves out; 0 for one that leaves out none. */
  lane: number;
}

export interface Flow {
  runs: { a: number; b: number };
  summary: [what: string, a: string, b: string, apart: string][];
  branches: Branch[];
  a: ArrayLike<number>;
  b: ArrayLike<number>;
  rate: ArrayLike<number>;
  lanes: number;
}

export function flowOf({ facts, columns: of }: Packed): Flow {
  const branches = Array.from(of.source, (source, at) => ({
    source,
    target: of.target[at],
    a: of.edge_a[at],
    b: of.edge_b[at],
    rate: of.edge_rate[at],
    lane: 0,
  }));
  const lanes = assignLanes(branches);
  return { runs: { a: facts.a, b: facts.b }, summary: facts.summary, branches, a: of.a, b: of.b, rate: of.rate, lanes };
}

/** Gives each branch that leaves steps out the innermost lane that is free all the way; returns how many there are. */
export function assignLanes(branches: Branch[]): number {
  const ends: number[] = [];
  const jumping = branches.filter(({ source, target }) => target - source > 1);
  jumping.sort((one, other) => one.target - one.source - (other.target - other.source) || one.source - other.source);
  const taken: Branch[][] = [];
  for (const branch of jumping) {
    const free = taken.findIndex((lane) =>
      lane.every((one) => one.target <= branch.source || one.source >= branch.target),
    );
    const lane = free < 0 ? taken.length : free;
    taken[lane] ??= [];
    taken[lane].push(branch);
    branch.lane = lane + 1;
    ends[lane] = branch.target;
  }
  return taken.length;
}
