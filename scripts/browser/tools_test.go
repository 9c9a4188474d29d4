//go:build bundle

package browser_test

import (
	"encoding/json"
	"testing"

	"github.com/livevalet/livevalet/scripts/browser"
)

// toolbox holds a conversation with two functions, whose tokens leave tools to the
// page, and gives what a story makes of it.
const toolbox = `async (story) => {
	const { connect } = await import("/livevalet.js");
	const post = async (path, body, headers) => {
		const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });
		if (!answer.ok) throw new Error(path + ": " + (await answer.text()));
		return answer.json();
	};
	const model = "models/gemini-3.8-live";
	const token = async () => {
		const { name } = await post("/v1alpha/auth_tokens", {
			fieldMask: "model,generationConfig",
			bidiGenerateContentSetup: { model, generationConfig: { responseModalities: ["AUDIO"] } },
		}, { "x-goog-api-key": "emulator-tools" });
		const websocketUrl = location.origin.replace("http", "ws") +
			"/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained";
		return { token: name, websocketUrl, model, lock: "masked", allow: ["tools"], expiresIn: 1800, newSessionExpiresIn: 60 };
	};
	const functionDeclarations = [{ name: "ask", behavior: "BLOCKING" }, { name: "watch", behavior: "NON_BLOCKING" }];
	const session = await connect({ token, config: { outputAudioTranscription: {}, tools: [{ functionDeclarations }] } });

	const words = new Map(), ends = [], rungs = [];
	session.addEventListener("transcript", ({ detail }) => words.set(detail.id, detail.cut ? "" : detail.text));
	session.addEventListener("toolcall", ({ detail }) => detail.state !== "called" && ends.push(detail.state));
	session.addEventListener("resumed", ({ detail }) => rungs.push(detail.rung));
	const until = async (condition) => {
		for (const patience = performance.now() + 60_000; !condition(); ) {
			if (performance.now() > patience) throw new Error("waited in vain for " + condition + "; said was " + [...words.values()]);
			await new Promise((resolve) => setTimeout(resolve, 10));
		}
	};
	try {
		return await story({
			session, ends, until,
			add: (name, handler, more) => session.tools.add({ name, handler, ...more }),
			tell: (text) => session.sendRealtimeInput({ text }),
			says: (what) => until(() => [...words.values()].some((text) => text.includes(what))),
			play: (steps) => post("/__emulator/scenario?ns=tools", { steps }),
			async cut() {
				await post("/__emulator/fault?ns=tools", { kind: "drop", session: "*" });
				await until(() => rungs.length === 1);
			},
		});
	} finally {
		await session.close();
	}
}`

// TestTools has the emulator's model call functions of a page.
func TestTools(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	page := browser.Launch(t).Open(server.URL)
	browser.Eval[any](page, `fetch("/__emulator/reset?ns=tools", { method: "POST", headers: { "Content-Type": "application/json" } }).then(({ ok }) => ok)`)
	for _, story := range []struct{ name, tell, want string }{
		{"the model waits for what a blocking function returns", `async ({ add, tell, says, ends }) => {
			add("ask", () => "forty two");
			await tell("call a blocking tool");
			await says("ask says forty two");
			return ends;
		}`, `["answered"]`},
		{"it hears several times from one that is not", `async ({ add, tell, says, ends }) => {
			add("watch", async function* (_, { answer }) {
				yield answer("one", "SILENT");
				yield "two";
				await says("watch says two");
				return answer("three", "INTERRUPT");
			});
			await tell("call a non-blocking tool");
			await says("watch says three");
			return ends;
		}`, `["answered"]`},
		{"two calls run side by side", `async ({ add, tell, says, ends }) => {
			let free;
			add("ask", () => new Promise((resolve) => (free = resolve)));
			add("watch", () => (free("first"), "second"));
			await tell("call two tools");
			await says("ask says first");
			await says("watch says second");
			return ends;
		}`, `["answered","answered"]`},
		{"a call that is withdrawn is aborted", `async ({ add, tell, ends, until }) => {
			let reason;
			add("watch", (_, { signal }) => new Promise(() => signal.addEventListener("abort", () => (reason = signal.reason.message))));
			add("ask", () => "done");
			await tell("call and cancel");
			await until(() => reason && ends.length === 2);
			return [reason, ...ends.sort()];
		}`, `["the call was cancelled","answered","cancelled"]`},
		{"a call that is not allowed does not run, and the model is told", `async ({ add, tell, says }) => {
			let ran = false;
			add("ask", () => (ran = true), { approve: () => false });
			await tell("call a blocking tool");
			await says("ask says error ask was not allowed to run");
			return ran;
		}`, `false`},
		{"a function may be declared later", `async ({ session, add, tell, says }) => {
			await tell("my name is Ada");
			await session.update({ tools: [{ functionDeclarations: [{ name: "later", behavior: "BLOCKING" }] }] });
			add("later", () => "better than never");
			await tell("call later");
			await says("later says better than never");
			return session.state;
		}`, `"live"`},
		{"an answer serves the same call after a cut, too", `async ({ add, tell, says, cut, until, ends }) => {
			let ran = 0;
			const andSoOn = " and so on".repeat(20); // long enough for the cut to come in it
			add("ask", () => "answer " + ++ran + andSoOn);
			await tell("call a blocking tool");
			await until(() => ends.length === 1);
			await cut();
			await says("ask says answer 1");
			return [ran, ...ends];
		}`, `[1,"answered"]`},
		{"unless the handler is to run again", `async ({ add, tell, says, cut, until, ends }) => {
			let ran = 0;
			const andSoOn = " and so on".repeat(20); // long enough for the cut to come in it
			add("ask", () => "answer " + ++ran + andSoOn, { rerun: true });
			await tell("call a blocking tool");
			await until(() => ends.length === 1);
			await cut();
			await says("ask says answer 2");
			return [ran, ...ends];
		}`, `[2,"answered","answered"]`},
		{"a handler runs on over a cut, and answers the call that is made again", `async ({ add, tell, says, cut, until, ends }) => {
			let ran = 0, free, aborted;
			add("ask", (_, { signal }) => new Promise((resolve) => {
				ran++;
				free = () => resolve("at last");
				signal.addEventListener("abort", () => (aborted = true));
			}), { rerun: true });
			await tell("call a blocking tool");
			await until(() => free);
			await cut();
			free();
			await says("ask says at last.");
			return [ran, aborted ?? "not aborted", ...ends];
		}`, `[1,"not aborted","answered"]`},
		{"a call that the model forgets over a cut is aborted", `async ({ session, add, tell, cut, until, play, ends }) => {
			let signal, reason, handles = 0;
			session.addEventListener("message", ({ detail }) => detail.sessionResumptionUpdate?.resumable && handles++);
			add("ask", (_, call) => new Promise(() => {
				({ signal } = call);
				signal.addEventListener("abort", () => (reason = signal.reason.message));
			}));
			await tell("my name is Ada");
			await until(() => handles > 0);
			await tell("call a blocking tool");
			await until(() => signal);
			await play([{ expect: "resume" }, { expect: "text", do: [{ say: "I forgot." }] }]);
			await cut();
			await until(() => reason);
			return [reason, ...ends];
		}`, `["the call was orphaned","orphaned"]`},
	} {
		t.Run(story.name, func(t *testing.T) {
			got, _ := json.Marshal(browser.Eval[any](page.With(t), "("+toolbox+")("+story.tell+")"))
			if string(got) != story.want {
				t.Errorf("got %s, want %s", got, story.want)
			}
		})
	}
	if problems, _ := page.Problems(); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}
