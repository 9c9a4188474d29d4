import "./convert";
import "./message";
import "./tokens";
import "./api";
import "./tools";

export { names, run } from "./harness";
