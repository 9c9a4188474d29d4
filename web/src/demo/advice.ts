import type { LiveValetError } from "/livevalet.js";

const advice: Record<string, string> = {
  audit_unavailable: "The server cannot write its audit now. Press Talk in a little while.",
  authenticator_unavailable: "The server cannot check who you are now. Press Talk in a little while.",
  budget_exhausted: "The budget for today is used up. Try again tomorrow.",
  camera_busy: "Another program holds the camera. Close it and try again.",
  camera_denied: "The browser does not let the page use the camera. Allow it beside the address.",
  camera_missing: "There is no camera. Plug one in and try again.",
  config_refused: "The service refuses this configuration. Check the profile on the server.",
  crashed: "The engine stopped. Press Talk; if that repeats, reload the page.",
  device_denied: "The browser does not let the page use this device. Allow it beside the address.",
  device_unavailable: "The device cannot be used. Choose another under Sound.",
  forbidden: "This visitor may not use the profile. Ask whoever runs the server.",
  host_not_allowed: "The server does not know the name in the address bar. Open the address that it printed.",
  idle: "Nobody had spoken for a while, so the page hung up. Press Talk to begin again.",
  insecure_context: "Browsers give the microphone only to pages of https or localhost. Open the page there, or type instead.",
  internal: "The server failed. Press Talk again; if that repeats, look into its log.",
  lease_ended: "The server ended this conversation. Press Talk for a new one.",
  lease_not_found: "The server knows nothing of this conversation any more. Press Talk for a new one.",
  locked: "The token fixes what the page wanted to change. Change it in the profile.",
  microphone_busy: "Another program holds the microphone. Close it, then press Talk; or type instead.",
  microphone_denied: "The browser does not let the page use the microphone. Allow it beside the address, then press Talk; or type instead.",
  microphone_elsewhere: "Another tab of this page uses the microphone. Take over, or type instead.",
  microphone_missing: "There is no microphone. Plug one in, then press Talk; or type instead.",
  model_unavailable: "The service does not offer this model. Set another in the profile.",
  network: "Nothing answers. Check the network and that the server runs, then press Talk.",
  origin_not_allowed: "The server does not accept this page's origin. Open the address that it printed, or add the origin.",
  protocol: "The service said something unexpected. Press Talk; look into the server's log if that repeats.",
  proxied_anonymous: "The development server refuses requests through a proxy. Open it directly.",
  quota: "The API key's quota is used up. Wait, or use another project.",
  rate_limited: "Too many tokens were asked for. Wait a minute, then press Talk.",
  region_unsupported: "The service is not offered where you are. Ask whoever runs the server for another.",
  revoked: "The permission was withdrawn. Ask whoever runs the server.",
  screen_denied: "Nothing is shared. Press Screen again if you want to.",
  store_unavailable: "The server cannot reach its store now. Press Talk in a little while.",
  timeout: "Nobody answered in time. Check the network, then press Talk.",
  too_early: "The token was lost too often. Press Talk for a new conversation.",
  too_many_leases: "Too many conversations are open. Close one, then press Talk.",
  unauthenticated: "Sign in first, then press Talk.",
  unknown_profile: "The server has no such profile. Check its configuration, or name another in the address: /?profile=NAME.",
  upstream_refused: "The service refused to give a token. Check the API key on the server.",
  upstream_unavailable: "The service does not answer. Wait a little, then press Talk.",
};

/** What to do about an error. The messages of other codes say it themselves. */
export function adviceFor({ code, message, reason }: LiveValetError): string {
  return (advice[code] ?? message) + (reason ? ` (${code}: ${reason})` : ` (${code})`);
}
