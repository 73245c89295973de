/** The list of clusters: what is selected and open, where the keyboard is, and the changes that a user makes to them. */
import { group, tool } from "./buttons";
import { type Cluster, type Clusters, clustersOf, savedClusters } from "./clusterdata";
import { ClusterEdits } from "./clusteredits";
import { cells, described, header } from "./clusterrow";
import { button, element } from "./dom";
import { count } from "./format";
import type { Unsubscribe } from "./model";
import type { Packed } from "./packed";
import type { Host, View } from "./shell";
import type { Columns } from "./wire";

const SHOWN = 200;
const FAILURES_SHOWN = 50;

export class ClustersView implements View {
  readonly element = element("div", "pp-clusters");
  readonly buttons = [
    group(
      tool("rename", "Rename (r)", () => this.rename()),
      tool("merge", "Merge the selected (m)", () => this.merge()),
      tool("split", "Split (s)", () => this.split()),
    ),
  ];
  readonly failures = 0;
  readonly frameTimes: number[] = [];
  private columns: Columns | null = null;
  private preview: (row: number) => string = () => "";
  private clusters: Clusters = { all: [], runs: 0, by: "run" };
  private mask: Uint8Array | null = null;
  private selected = new Set<number>();
  private readonly open = new Set<string>();
  private cursor = 0;
  private anchor = 0;
  private limit = SHOWN;
  /** Whether it is known what the rows are. */
  private ready = false;
  private readonly edits: ClusterEdits;
  private readonly id = `pp-${Math.random().toString(36).slice(2)}`;
  private readonly observer = new ResizeObserver(() => this.host.resized());

  constructor(private readonly host: Host) {
    this.edits = new ClusterEdits(host, (focus) => {
      this.draw();
      if (focus) this.element.querySelector<HTMLElement>(focus)?.focus();
      else this.focus();
    });
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "tree");
    this.element.setAttribute("aria-label", "Clusters of failures");
    this.element.setAttribute("aria-multiselectable", "true");
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.observer.observe(this.element);
  }

  show(columns: Columns, preview: (row: number) => string): void {
    this.columns = columns;
    this.preview = preview;
    this.mask = null;
    this.edits.reset();
    this.ready = columns.rows > 0 && preview(0) !== "";
    if (this.ready) this.clusters = savedClusters(columns, preview);
    this.draw();
  }

  receive(packed: Packed): void {
    if (packed.kind !== "clusters" || !this.columns) return;
    this.clusters = clustersOf(this.columns, packed);
    this.ready = true;
    this.reveal();
  }

  /** It grows with its content by itself. */
  readonly naturalHeight = 0;

  get total(): number {
    return this.clusters.all.length;
  }

  get visibleRows(): number {
    return this.rows().length;
  }

  get selectedRows(): number[] {
    return [...this.selected];
  }

  select(rows: readonly number[]): void {
    if (rows.length === this.selected.size && rows.every((row) => this.selected.has(row))) return;
    this.selected = new Set(rows);
    if (this.ready) this.reveal();
  }

  filter(mask: Uint8Array | null): void {
    this.mask = mask?.length === this.columns?.rows ? mask : null;
    this.draw();
  }

  nextFailure(): void {}

  recolour(): void {}

  invalidate(): void {
    if (!this.edits.typing) this.draw();
  }

  focus(): void {
    this.element.focus({ preventScroll: true });
  }

  rowRect(row: number): DOMRect | null {
    const box = this.element.getBoundingClientRect();
    const rect = this.rowElement(row)?.getBoundingClientRect();
    return rect && rect.bottom > box.top && rect.top < box.bottom ? rect : null;
  }

  readonly close: Unsubscribe = () => {
    this.observer.disconnect();
    this.edits.close();
  };

  /** The failures of a cluster that pass the filter. */
  private matching(cluster: Cluster): readonly number[] {
    const { mask } = this;
    return mask ? cluster.failures.filter((row) => mask[row]) : cluster.failures;
  }

  private shown(): Cluster[] {
    return this.clusters.all.filter((cluster) => this.mask === null || this.matching(cluster).length > 0);
  }

  /** The rows that the keyboard walks through. */
  private rows(): number[] {
    return this.shown()
      .slice(0, this.limit)
      .flatMap((cluster) => {
        const inside = this.open.has(cluster.id) ? this.matching(cluster).slice(0, FAILURES_SHOWN) : [];
        return [cluster.row, ...inside];
      });
  }

  private clusterOf(row: number): Cluster | undefined {
    return this.clusters.all.findLast((cluster) => cluster.row <= row);
  }

  private draw(): void {
    if (!this.ready) return;
    const started = performance.now();
    const shown = this.shown();
    const most = Math.max(1, ...shown.map((cluster) => this.matching(cluster).length));
    const drawn = shown.slice(0, this.limit).flatMap((cluster) => this.drawn(cluster, most));
    if (shown.length > this.limit) {
      const rest = count(shown.length - this.limit, "more cluster");
      drawn.push(button(`… ${rest}`, `Show ${rest}`, () => this.showMore(), "pp-link pp-rest"));
    }
    if (shown.length === 0) drawn.push(element("div", "pp-rest pp-dim", "No failure passes the filter."));
    this.element.replaceChildren(header(), ...drawn);
    this.element.setAttribute("aria-activedescendant", `${this.id}-${this.cursor}`);
    this.frameTimes.push(performance.now() - started);
    this.host.painted();
  }

  private drawn(cluster: Cluster, most: number): HTMLElement[] {
    const isOpen = this.open.has(cluster.id);
    const chevron = element("span", "pp-chevron", isOpen ? "▾" : "▸");
    chevron.ariaHidden = "true";
    chevron.addEventListener("click", (event) => {
      event.stopPropagation();
      this.toggle(cluster, !isOpen);
    });
    const parts = cells(cluster, this.clusters, this.matching(cluster).length, most);
    const typed = this.edits.nameInput(cluster);
    if (typed) parts[1] = typed;
    const row = this.item(cluster.row, 1, "pp-cluster", chevron, ...parts);
    row.ariaExpanded = String(isOpen);
    row.ariaLabel = described(cluster, this.clusters);
    row.dataset.severity = cluster.severity;
    row.classList.toggle("pp-infra", cluster.infrastructure);
    return isOpen ? [row, ...this.inside(cluster)] : [row];
  }

  /** What a cluster opens to: why it is one, how it may be split, and its failures. */
  private inside(cluster: Cluster): HTMLElement[] {
    const { first, last } = cluster;
    const seen = last ? ` First seen ${first}, last seen ${last}.` : "";
    const dim = (text: string) => element("span", "pp-dim", text);
    const found: HTMLElement[] = [element("div", "pp-why", dim("One group: "), `${cluster.why}.`, dim(seen))];
    const chooser = this.edits.chooser(cluster);
    if (chooser) found.push(chooser);
    const failures = this.matching(cluster);
    for (const row of failures.slice(0, FAILURES_SHOWN)) {
      const session = element("bdi", "pp-session", this.columns?.name(row) ?? "");
      found.push(this.item(row, 2, "pp-failure", session, element("bdi", "pp-said", this.preview(row))));
    }
    const rest = failures.length - FAILURES_SHOWN;
    if (rest > 0) found.push(element("div", "pp-rest pp-dim", `… ${count(rest, "older failure")}`));
    return found;
  }

  private item(row: number, level: number, className: string, ...content: HTMLElement[]): HTMLElement {
    const made = element("div", className, ...content);
    made.id = `${this.id}-${row}`;
    made.setAttribute("role", "treeitem");
    made.ariaLevel = String(level);
    made.ariaSelected = String(this.selected.has(row) || this.selected.has(this.clusterOf(row)?.row ?? -1));
    made.classList.toggle("pp-cursor", row === this.cursor);
    made.addEventListener("click", (event) => this.pick(row, event));
    return made;
  }

  private rowElement(row: number): HTMLElement | null {
    return this.element.querySelector(`#${this.id}-${row}`);
  }

  private pick(row: number, event: MouseEvent): void {
    if ((event.target as HTMLElement).closest("input, button")) return;
    this.focus();
    const adds = event.ctrlKey || event.metaKey;
    if (event.shiftKey) this.choose(this.between(this.anchor, row), row);
    else this.choose(adds ? this.toggled(row) : [row], row);
    if (!event.shiftKey) this.anchor = row;
    if (!event.shiftKey && !adds) this.host.inspect(row);
  }

  private toggled(row: number): number[] {
    const selected = new Set(this.selected);
    if (!selected.delete(row)) selected.add(row);
    return [...selected];
  }

  private between(one: number, other: number): number[] {
    const rows = this.rows();
    const places = [rows.indexOf(one), rows.indexOf(other)].sort((a, b) => a - b);
    return rows.slice(Math.max(0, places[0]), places[1] + 1);
  }

  private choose(rows: number[], cursor: number): void {
    this.selected = new Set(rows);
    this.cursor = cursor;
    this.draw();
    this.host.selected(rows);
  }

  /** Draws, with the first selected row in view. */
  private reveal(): void {
    const [first] = this.selected;
    if (first === undefined) this.draw();
    else this.goTo(first);
  }

  private goTo(row: number): void {
    const cluster = this.clusterOf(row);
    if (!cluster) return;
    if (cluster.row !== row) this.open.add(cluster.id);
    this.limit = Math.max(this.limit, this.clusters.all.indexOf(cluster) + 1);
    this.cursor = row;
    this.draw();
    this.rowElement(row)?.scrollIntoView({ block: "nearest" });
  }

  private toggle(cluster: Cluster, open: boolean): void {
    if (open) this.open.add(cluster.id);
    else this.open.delete(cluster.id);
    if (!open && this.clusterOf(this.cursor) === cluster) this.cursor = cluster.row;
    this.draw();
  }

  private showMore(): void {
    this.limit += SHOWN;
    this.draw();
  }

  /** Calls `act` with the cluster that the keyboard is at. */
  private at(act: (cluster: Cluster) => void): void {
    const cluster = this.clusterOf(this.cursor);
    if (cluster) act(cluster);
  }

  private readonly rename = () => this.at((cluster) => this.edits.rename(cluster));
  private readonly split = () => this.at((cluster) => this.edits.split(cluster, () => this.open.add(cluster.id)));
  private readonly merge = () => {
    const ids = [...this.selected].flatMap((row) => this.clusterOf(row)?.id ?? []);
    this.edits.merge([...new Set(ids)]);
  };

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== this.element) return;
    const rows = this.rows();
    const place = rows.indexOf(this.cursor);
    const cluster = this.clusterOf(this.cursor);
    const walk = (to: number) => {
      const row = rows[Math.min(rows.length - 1, Math.max(0, to))];
      if (row === undefined) return;
      this.goTo(row);
      if (!event.shiftKey) this.anchor = row;
      this.choose(event.shiftKey ? this.between(this.anchor, row) : [row], row);
    };
    const keys: Record<string, () => void> = {
      ArrowDown: () => walk(place + 1),
      ArrowUp: () => walk(place - 1),
      PageDown: () => walk(place + 10),
      PageUp: () => walk(place - 10),
      Home: () => walk(0),
      End: () => walk(rows.length - 1),
      ArrowRight: () => {
        if (!cluster) return;
        if (this.open.has(cluster.id)) walk(place + 1);
        else this.toggle(cluster, true);
      },
      ArrowLeft: () => {
        if (!cluster) return;
        if (this.cursor === cluster.row) this.toggle(cluster, false);
        else walk(rows.indexOf(cluster.row));
      },
      " ": () => {
        if (cluster) this.toggle(cluster, !this.open.has(cluster.id));
      },
      Enter: () => {
        this.choose([this.cursor], this.cursor);
        this.host.inspect(this.cursor);
      },
      Escape: () => this.host.escape(),
      "/": () => this.host.focusFilter(),
      r: () => this.rename(),
      m: () => this.merge(),
      s: () => this.split(),
    };
    const act = Object.hasOwn(keys, event.key) ? keys[event.key] : undefined;
    if (!act) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  }
}
