/** What keeps failing, as an anywidget. */
import "./clusters.css";
import { ClustersView } from "./clusterview";
import { widget } from "./shell";

export default widget("clusters", (host) => new ClustersView(host));
