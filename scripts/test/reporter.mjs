// A reporter for `node --test` that prints what `go test -json` would: one
// event a line, for gotest.go to read.

export default async function* report(source) {
  const names = []; // of the test and those above it
  for await (const { type, data } of source) {
    const { file = "", name, nesting, message, skip, todo, details } = data;
    const about = { Package: file };
    if (name !== file) about.Test = [...names.slice(0, nesting), name].join("/"); // a file is not a test
    switch (type) {
      case "test:start":
        names[nesting] = name;
        yield line({ ...about, Action: "run" });
        break;
      case "test:pass":
        if (typeof skip === "string") yield line({ ...about, Action: "output", Output: `${skip}\n` });
        yield line({ ...about, Action: skip !== undefined || todo !== undefined ? "skip" : "pass" });
        break;
      case "test:fail":
        // A parent has nothing to say about what failed below it.
        if (details.error.failureType !== "subtestsFailed") yield line({ ...about, Action: "output", Output: words(details.error) });
        yield line({ ...about, Action: "fail" });
        break;
      case "test:stdout":
      case "test:stderr":
        yield line({ Package: file, Action: "output", Output: message });
        break;
    }
  }
}

const line = (event) => JSON.stringify(event) + "\n";

const words = ({ cause, message }) => `${cause?.stack ?? cause ?? message}\n`;
