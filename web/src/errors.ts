import type * as api from "/livevalet.js";

export class LiveValetError extends Error implements api.LiveValetError {
  readonly code: api.ErrorCode;
  readonly phase: api.Phase;
  readonly retryable: boolean;
  readonly closeCode?: number;
  readonly reason?: string;

  constructor(init: api.LiveValetErrorInit) {
    super(init.message);
    this.name = "LiveValetError";
    this.code = init.code;
    this.phase = init.phase;
    this.retryable = init.retryable;
    if (init.closeCode !== undefined) this.closeCode = init.closeCode;
    if (init.reason !== undefined) this.reason = init.reason;
  }
}

/** A mistake of the caller; nothing was opened or sent. */
export function misuse(message: string): LiveValetError {
  return new LiveValetError({ code: "invalid_request", phase: "setup", message, retryable: false });
}

/** What is asked of a session that has ended. */
export function over(): LiveValetError {
  return new LiveValetError({ code: "aborted", phase: "close", message: "the session has ended: connect again", retryable: true });
}
