// Tells what the audio thread gets from the page, and sends it back: what was
// posted before has arrived then.

class Echo extends AudioWorkletProcessor {
  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.port.postMessage(data);
  }

  process(): boolean {
    return true;
  }
}

registerProcessor("echo", Echo);
