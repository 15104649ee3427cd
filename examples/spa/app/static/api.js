// The one way from the page to its backend: same origin, JSON, and a cookie that
// this script cannot read.

import { reads } from './seen.js';

// Refused is an answer that is not what was asked for. signedOut: nobody is signed
// in (any more).
export class Refused extends Error {
  constructor(status, answer) {
    super(answer.message || 'The application does not answer. Are you online?');
    this.status = status;
    this.signedOut = answer.error === 'signed_out';
  }
}

export async function ask(method, path, body) {
  const request = { method, headers: { Accept: 'application/json' }, credentials: 'same-origin', cache: 'no-store', redirect: 'error' };
  if (body) {
    request.headers['Content-Type'] = 'application/json';
    request.body = JSON.stringify(body);
  }
  let response, text;
  try {
    response = await fetch(path, request);
    text = await response.text();
  } catch {
    throw new Refused(0, {});
  }
  reads(text, response.headers);
  let answer = {};
  try {
    answer = text ? JSON.parse(text) : {};
  } catch {
    throw new Refused(response.status, {});
  }
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}
