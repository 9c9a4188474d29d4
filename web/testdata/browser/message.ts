import { serverMessage } from "../../src/message";
import { same, test } from "./harness";

const turn = (...parts: object[]) => serverMessage({ serverContent: { modelTurn: { parts } }, future: 1 });

test("text joins the text parts without thoughts", () => {
  same(turn({ text: "a" }, { text: "hm", thought: true }, { inlineData: { data: "AAAA" } }, { text: "b" }).text, "ab");
});
test("an empty text part gives an empty text", () => same(turn({ text: "" }).text, ""));
test("text is undefined without text parts", () => {
  same(turn({ text: "hm", thought: true }).text, undefined);
  same(turn({ inlineData: { data: "AAAA" } }).text, undefined);
  same(serverMessage({}).text, undefined);
  same(serverMessage({ serverContent: {} }).text, undefined);
});
test("data of one part is the part's", () => same(turn({ text: "x" }, { inlineData: { data: "AQI=" } }).data, "AQI="));
test("data of several parts is joined as bytes", () => {
  same(turn({ inlineData: { data: "AQ==" } }, { inlineData: { data: "AgM=" } }).data, "AQID");
});
test("data is undefined without inline data", () => {
  same(turn({ text: "x" }).data, undefined);
  same(serverMessage({ serverContent: { modelTurn: {} } }).data, undefined);
});
test("unknown fields survive, and the getters are no fields", () => {
  same(Object.keys(turn()), ["serverContent", "future"]);
});
test("a field of the service wins over a getter", () => {
  same(serverMessage({ text: "own" } as any).text, "own");
});
