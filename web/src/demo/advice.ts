import type { LiveValetError } from "/livevalet.js";

const advice: Record<string, string> = {
  budget_exhausted: "The budget for today is used up. Try again tomorrow.",
  config_refused: "The service refuses this configuration. Check the profile on the server.",
  crashed: "The engine stopped. Press Connect; if that repeats, reload the page.",
  forbidden: "This visitor may not use the profile. Ask whoever runs the server.",
  host_not_allowed: "The server does not know the name in the address bar. Open the address that it printed.",
  lease_ended: "The server ended this conversation. Press Connect for a new one.",
  model_unavailable: "The service does not offer this model. Set another in the profile.",
  network: "The line failed. Check the network, then press Connect.",
  origin_not_allowed: "The server does not accept this page's origin. Open the address that it printed, or add the origin.",
  protocol: "The service said something unexpected. Press Connect; look into the server's log if that repeats.",
  proxied_anonymous: "The development server refuses requests through a proxy. Open it directly.",
  quota: "The API key's quota is used up. Wait, or use another project.",
  rate_limited: "Too many tokens were asked for. Wait a minute, then press Connect.",
  region_unsupported: "The service is not offered where you are.",
  revoked: "The permission was withdrawn. Ask whoever runs the server.",
  timeout: "Nobody answered in time. Check the network, then press Connect.",
  too_many_leases: "Too many conversations are open. Close one, then press Connect.",
  unauthenticated: "Sign in first, then press Connect.",
  unknown_profile: "The server has no such profile. Check its configuration.",
  upstream_refused: "The service refused to give a token. Check the API key on the server.",
  upstream_unavailable: "The service does not answer. Wait a little, then press Connect.",
};

/** What to do about an error. */
export function adviceFor(error: LiveValetError): string {
  const detail = error.reason ? ` (${error.code}: ${error.reason})` : ` (${error.code})`;
  return (advice[error.code] ?? error.message) + detail;
}
