// What the tests ask of a page, in every engine alike.

/** What went wrong in the page, as it sees it: not every engine tells of its console. */
const complaints = [];
addEventListener("securitypolicyviolation", (e) => complaints.push(`${e.violatedDirective} forbids ${e.blockedURI}`), true);
addEventListener("error", (e) => complaints.push(e.message ?? `${e.target.src ?? e.target.href} did not load`), true);
addEventListener("unhandledrejection", (e) => complaints.push(String(e.reason)));
for (const level of ["error", "warn"]) {
  const say = console[level];
  console[level] = (...words) => (complaints.push(words.join(" ")), say.apply(console, words));
}

/** How many tokens the conversation had. */
let tokens = 0;

/** Starts the conversation that what follows is about. */
async function begin(worker) {
  tokens = 1; // It is received before a listener can be added.
  globalThis.conversation = await Conversation.start({ worker });
  conversation.session.addEventListener("token", ({ detail }) => (tokens += detail.action === "received"));
}

/** Has the emulator make trouble while the model answers; gives why the connection was dialled that comes then. */
async function suffer(kind) {
  const dialled = conversation.causes.length;
  await conversation.tell();
  await conversation.emulator("fault", { kind });
  await conversation.until(() => conversation.causes.length > dialled && conversation.session.state === "live");
  await conversation.hear();
  return conversation.causes[dialled];
}

/** Sessions that are open at the emulator. */
async function open() {
  const { sessions } = await (await fetch("/__emulator/sessions")).json();
  return sessions.filter(({ state }) => state === "open").length;
}

/** Does what must not be: resolves when the page heard of it. */
async function complain() {
  console.error("on purpose");
  setTimeout(() => {
    throw new Error("on purpose");
  });
  document.body.append(Object.assign(new Image(), { src: "data:image/gif," }));
  await until(() => complaints.length === 4); // The last one is that the picture did not load.
}

/** Gives the numbers of the messages of a socket as they came, and how it ended. */
async function order() {
  const heard = [];
  const { connect } = await import("/livevalet.js");
  await new Promise((ended, failed) => {
    const token = async () => {
      const answer = await fetch("/v1/token", { method: "POST" });
      return { ...(await answer.json()), websocketUrl: `ws://${location.host}/order` };
    };
    const onmessage = ({ serverContent: said }) => said && heard.push(Number(said.outputTranscription.text));
    const onclose = ({ code, reason }) => ended(heard.push(`${code} ${reason}`));
    connect({ token, callbacks: { onmessage, onclose } }).catch(failed);
  });
  return heard;
}

/** Resolves when it holds; not all that is waited for comes with an event. */
async function until(holds) {
  for (const patience = performance.now() + 90_000; !holds(); ) {
    if (performance.now() > patience) throw new Error(`waited in vain for ${holds}; heard was ${complaints}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// ---- by voice --------------------------------------------------------------

/** Has the page's contexts take the rate of a device that the browser does not have. */
async function soundAt(rate) {
  const own = new AudioContext();
  const { sampleRate } = own;
  await own.close();
  if (sampleRate === rate) return `sound at ${rate} Hz`;
  globalThis.AudioContext = class extends AudioContext {
    constructor(options) {
      super({ ...options, sampleRate: rate });
    }
  };
  return `sound at ${rate} Hz, in place of ${sampleRate}`;
}

/** Known before the click: sound may begin only in one, and not after an await. */
let connect;
import("/livevalet.js").then((module) => ({ connect } = module));

/** How loud the tone is that takes the place of a microphone. */
let loudness;

/** The session, and the model's turns that were played. */
let session;
const turns = [];

/** Has a click begin a conversation. The model's sound comes to the page, too, to be measured. */
async function offerToTalk(tone) {
  await until(() => connect);
  talk.onclick = async () => {
    const context = new AudioContext();
    const destination = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    const oscillator = new OscillatorNode(context, { frequency: tone });
    loudness = new GainNode(context, { gain: 0 });
    oscillator.connect(loudness).connect(destination);
    oscillator.start();
    session = await connect({
      speaker: { copy: true },
      microphone: { source: destination.stream, mode: "open" },
      config: { outputAudioTranscription: {} },
    });
    follow();
  };
}

function follow() {
  const begun = () => ({ sound: [], level: 0 });
  let turn = begun();
  session.addEventListener("message", ({ detail: { serverContent } }) => {
    for (const { inlineData } of serverContent?.modelTurn?.parts ?? []) if (inlineData) turn.sound.push(inlineData.data);
  });
  session.speaker.addEventListener("heard", ({ detail: { ms, of } }) => {
    turns.push({ ...turn, ms, of });
    turn = begun();
  });
  setInterval(() => (turn.level = Math.max(turn.level, session.speaker.level)), 10);
}

/** Gives the turn that comes, once it was played. */
async function answer() {
  const played = turns.length;
  await until(() => turns.length > played);
  return turns[played];
}

/** Resolves when 1.5 s of sound were heard: on a busy machine that takes longer. */
async function heardSound() {
  const { microphone } = session;
  let pieces = 0; // of 50 ms
  const count = () => (pieces += microphone.level.rms > 0.01);
  microphone.addEventListener("level", count);
  await until(() => pieces >= 30);
  microphone.removeEventListener("level", count);
}

/** Gives the turn in which the model says back what it heard for a while. */
async function echo(begin, end) {
  await session.sendRealtimeInput({ text: "echo" });
  await answer();
  begin();
  await heardSound();
  end();
  return answer();
}

/** That of a tone in place of a microphone. */
const echoOfSource = () => echo(() => (loudness.gain.value = 0.5), () => (loudness.gain.value = 0));

/** Silence in place of a microphone, which has no channels in Firefox. */
async function hearSilence() {
  const { microphone } = session;
  microphone.stop();
  await microphone.start({ source: new MediaStreamAudioDestinationNode(new AudioContext()).stream });
  return microphone.state;
}

/** That of the browser's own microphone, as it is. */
async function echoOfMicrophone() {
  const { microphone } = session;
  microphone.stop();
  microphone.muted = true; // The tone never ends.
  await microphone.start({ echoCancellation: false, noiseSuppression: false, autoGainControl: false });
  return echo(() => (microphone.muted = false), () => (microphone.muted = true));
}
