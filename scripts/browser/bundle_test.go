//go:build bundle

package browser_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/livevalet/livevalet/scripts/browser"
)

// converse is a page of somebody's own on the built bundle: it says its name,
// asks for it, and gives the model's words.
const converse = `async (options) => {
	const { connect } = await import("/livevalet.js");
	let words = "", done;
	const session = await connect({ ...options, config: { outputAudioTranscription: {} }, callbacks: {
		onmessage(m) {
			words += m.serverContent?.outputTranscription?.text ?? "";
			if (m.serverContent?.turnComplete) done();
		},
	} });
	const say = async (text) => {
		const turn = new Promise((resolve) => (done = resolve));
		words = "";
		await session.sendRealtimeInput({ text });
		await turn;
		return words;
	};
	await say("my name is Ada");
	const answer = await say("what is my name?");
	await session.close();
	return answer + " " + session.state;
}`

// refused gives what connect rejects with.
const refused = `async (options) => {
	const { connect, LiveValetError } = await import("/livevalet.js");
	try {
		await connect(options());
		return "it is live";
	} catch (e) {
		return [e instanceof LiveValetError, e.code, e.phase, e.retryable].join(" ");
	}
}`

// updating is a page whose own issuer leaves the tools to it: it declares one in the
// middle of a conversation, and has it called.
const updating = `async (options) => {
	const { connect } = await import("/livevalet.js");
	const token = async () => {
		const grant = await (await fetch("/v1/token", { method: "POST" })).json();
		const { name } = await (await fetch("/v1alpha/auth_tokens", {
			method: "POST",
			headers: { "Content-Type": "application/json", "x-goog-api-key": "emulator" },
			body: JSON.stringify({
				uses: 1, fieldMask: "model,generationConfig",
				bidiGenerateContentSetup: { model: grant.model, generationConfig: { responseModalities: ["AUDIO"] } },
			}),
		})).json();
		return { ...grant, token: name, allow: ["tools"] };
	};
	const session = await connect({ token, ...options, config: { outputAudioTranscription: {} } });
	const next = (type, wanted = () => true) => new Promise((resolve) => session.addEventListener(type, function hear({ detail }) {
		if (!wanted(detail)) return;
		session.removeEventListener(type, hear);
		resolve(detail);
	}));
	const final = ({ who, final }) => who === "model" && final;
	const refused = ({ code }) => code;
	const told = next("transcript", final);
	await session.sendRealtimeInput({ text: "my name is Ada" });
	await told;
	const resumed = next("resumed");
	const change = { tools: [{ functionDeclarations: [{ name: "get_time" }] }] };
	const updated = await session.update(change).then(() => "updated", refused);
	if (updated !== "updated") return await session.close(), updated;
	const { rung, cause } = await resumed;
	const answer = next("transcript", final);
	await session.sendRealtimeInput({ text: "what is my name?" });
	const { text } = await answer;
	const called = next("toolcall");
	await session.sendRealtimeInput({ text: "call get_time" });
	const { name } = await called;
	const locked = await session.update({ systemInstruction: "Be brief." }).catch(refused);
	await session.close();
	return [updated, rung, cause, text, name, locked].join();
}`

// locked asks for what the tokens of dev do not leave to the page.
const locked = `async () => {
	const { connect } = await import("/livevalet.js");
	const session = await connect();
	const told = await session.update({ systemInstruction: "Be brief." }).then(() => "updated", ({ code }) => code);
	await session.close();
	return told;
}`

// TestBundle uses the built bundle as other people's pages do.
func TestBundle(t *testing.T) {
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	page := browser.Launch(t).Open(server.URL)
	for _, use := range []struct{ name, expression, want string }{
		{"in a Worker a conversation works", "(" + converse + ")({})", "Your name is Ada. closed"},
		{"on the page a conversation works, too", "(" + converse + ")({ worker: false })", "Your name is Ada. closed"},
		{"two conversations at once do not know each other",
			"Promise.all([(" + converse + ")({}), (" + converse + ")({ worker: false })]).then((both) => both.join())",
			"Your name is Ada. closed,Your name is Ada. closed"},
		{"after preload connect works", `import("/livevalet.js").then(({ preload }) => preload()).then(() => (` + converse + ")({}))", "Your name is Ada. closed"},
		{"in a Worker an update brings a tool", "(" + updating + ")({})", "updated,handle,update,Your name is Ada.,get_time,locked"},
		{"on the page an update brings a tool, too", "(" + updating + ")({ worker: false })", "updated,handle,update,Your name is Ada.,get_time,locked"},
		{"an update of what the issuer locks is told as such", "(" + locked + ")()", "locked"},
		{"an unknown profile is the issuer's own error", "(" + refused + `)(() => ({ profile: "nobody" }))`, "true unknown_profile token false"},
		{"an endpoint that is none is an error of the protocol", "(" + refused + `)(() => ({ token: "/nowhere" }))`, "true protocol token false"},
		{"a setup that the service refuses is told with its reason's code",
			"(" + refused + `)(() => ({ token: async () => ({ ...await (await fetch("/v1/token", { method: "POST" })).json(), token: "auth_tokens/none" }) }))`,
			"true upstream_unavailable setup true"},
		{"an abort is told as such", "(" + refused + `)(() => ({ signal: AbortSignal.abort() }))`, "true aborted setup true"},
		{"misuse is told before anything opens", "(" + refused + `)(() => ({ config: { httpOptions: {} } }))`, "true invalid_request setup false"},
	} {
		t.Run(use.name, func(t *testing.T) {
			if got := browser.Eval[string](page.With(t), use.expression); !strings.HasPrefix(got, use.want) {
				t.Errorf("got %q, want %q", got, use.want)
			}
		})
	}
	// Chromium tells of the two endpoints that refuse.
	refusals := regexp.MustCompile(`^Failed to load resource: the server responded with a status of 40[45] `)
	if problems, n := page.Problems(refusals); len(problems) > 0 || n != 2 {
		t.Errorf("%d refusals and problems: %v", n, problems)
	}
}
