import "./convert";
import "./message";
import "./tokens";
import "./api";

export { names, run } from "./harness";
