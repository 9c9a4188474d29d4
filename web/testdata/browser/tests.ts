import "./convert";
import "./message";
import "./tokens";
import "./api";
import "./tools";
import "./resample";

export { names, run } from "./harness";
