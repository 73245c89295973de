/** The decision tree as an anywidget. */
import { DecisionTreeView } from "./decisiontree";
import { widget } from "./shell";

export default widget("tree", (host, theme) => new DecisionTreeView(theme, host));
