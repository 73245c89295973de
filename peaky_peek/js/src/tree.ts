/** The decision tree as an anywidget. */
import { widget } from "./shell";
import { TreeView } from "./view";

export default widget("tree", (host, theme) => new TreeView(theme, host));
