/** What a user may change about clusters: their names, and which are one. The kernel does it, and sends them anew. */
import type { Cluster } from "./clusterdata";
import { button, element } from "./dom";
import type { OwnRequest, Unsubscribe } from "./model";
import type { Packed } from "./packed";
import type { Host } from "./shell";

/** A column that tells failures apart, and how many parts it makes. */
type Choice = [column: string, parts: number];

export class ClusterEdits {
  /** The cluster whose name is being typed. */
  private renaming = "";
  private choices: { id: string; by: Choice[] } | null = null;
  private readonly waiting = new Set<Unsubscribe>();

  constructor(
    private readonly host: Host,
    /** Draws again; `focus` is where the keyboard belongs then, the list itself without it. */
    private readonly changed: (focus?: string) => void,
  ) {}

  get typing(): boolean {
    return this.renaming !== "";
  }

  /** Forgets what was begun, because the clusters are others now. */
  reset(): void {
    this.renaming = "";
    this.choices = null;
  }

  close(): void {
    for (const stop of this.waiting) stop();
  }

  rename(cluster: Cluster): void {
    this.renaming = cluster.id;
    this.changed(".pp-rename");
  }

  merge(clusters: readonly string[]): void {
    if (clusters.length < 2) this.host.say("Select the clusters to merge: Control and click, or Shift and the arrows.");
    else this.change({ type: "merge", clusters });
  }

  /** Asks by what a cluster can be split; `offered` is called when there are choices. */
  split(cluster: Cluster, offered: () => void): void {
    this.ask({ type: "splits", cluster: cluster.id }, ({ facts }) => {
      if (facts.by.length === 0) return this.host.say("All failures of this cluster are alike: nothing splits it.");
      this.choices = { id: cluster.id, by: facts.by };
      offered();
      this.changed(".pp-chooser button");
    });
  }

  /** Where the name of a cluster is typed; null for the others. */
  nameInput(cluster: Cluster): HTMLElement | null {
    if (this.renaming !== cluster.id) return null;
    const input = element("input", "pp-filter pp-rename");
    input.value = cluster.name;
    input.setAttribute("aria-label", "Name of the cluster");
    const end = (name: string | null) => {
      if (this.renaming !== cluster.id) return;
      this.renaming = "";
      if (name !== null && name !== cluster.name) this.change({ type: "rename", cluster: cluster.id, name });
      this.changed();
    };
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") end(input.value);
      if (event.key === "Escape") end(null);
    });
    input.addEventListener("focus", () => input.select());
    input.addEventListener("blur", () => end(null));
    return element("span", "pp-wide", input);
  }

  /** The choices for splitting a cluster; null for the others. */
  chooser(cluster: Cluster): HTMLElement | null {
    if (this.choices?.id !== cluster.id) return null;
    const made = element("div", "pp-chooser", element("span", "pp-dim", "Split by"));
    for (const [column, parts] of this.choices.by) {
      const label = `${column.replace("_", " ")} (${parts})`;
      const chosen = () => this.change({ type: "split", cluster: cluster.id, by: column });
      made.append(button(label, `Split into ${parts} by ${column}`, chosen));
    }
    made.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key !== "Escape") return;
      this.choices = null;
      this.changed();
    });
    return made;
  }

  private change(request: OwnRequest): void {
    this.choices = null;
    this.ask(request, () => this.changed());
  }

  private ask(request: OwnRequest, answered: (packed: Packed) => void): void {
    this.host.say("");
    this.waiting.add(this.host.model.fetch(request, answered, (sentence) => this.host.say(sentence, true)));
  }
}
