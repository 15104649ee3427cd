// npm openid-client: sign in, call, refresh, sign out; by plain parameters, pushed, by
// form_post, with DPoP.
import * as client from 'openid-client'
import { Browser } from './browser.mjs'
import { setting, did, assert } from './setting.mjs'

const insecure = { execute: [client.allowInsecureRequests] }
const auth = setting.client_secret ? client.ClientSecretBasic(setting.client_secret) : client.None()
const config = await client.discovery(new URL(setting.issuer), setting.client_id, undefined, auth, insecure)
did('discovered', config.serverMetadata().issuer)

const browser = new Browser()
const dpop = setting.dpop ? client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')) : undefined
const options = dpop ? { DPoP: dpop } : undefined

async function signIn(how) {
  const verifier = client.randomPKCECodeVerifier()
  const expected = { pkceCodeVerifier: verifier, expectedState: client.randomState(), expectedNonce: client.randomNonce(), idTokenExpected: true }
  const parameters = {
    redirect_uri: setting.redirect_uri, scope: setting.scope, state: expected.expectedState, nonce: expected.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...(how.parameters ?? {}),
  }
  if (setting.resource) parameters.resource = setting.resource
  const url = how.pushed ? await client.buildAuthorizationUrlWithPAR(config, parameters, options) : client.buildAuthorizationUrl(config, parameters)
  const back = await browser.through(url.href, { back: setting.redirect_uri, login: setting.login, password: setting.password })
  const tokens = await client.authorizationCodeGrant(config, new URL(back), expected, setting.resource ? { resource: setting.resource } : undefined, options)
  did(how.name, Object.keys(tokens).sort().join(' '))
  assert.equal(tokens.claims().iss, setting.issuer)
  assert.equal(tokens.token_type, dpop ? 'dpop' : 'bearer')
  return tokens
}

let tokens = await signIn({ name: 'signed in' })
const sub = tokens.claims().sub
if (!setting.resource) {
  const info = await client.fetchUserInfo(config, tokens.access_token, sub, options)
  assert.equal(info.sub, sub)
  if (setting.scope.includes('email')) assert.equal(info.email, setting.email)
  did('userinfo', JSON.stringify(Object.keys(info).sort()))
}
if (tokens.refresh_token) {
  const next = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, options)
  assert.notEqual(next.access_token, tokens.access_token)
  did('refreshed')
  tokens = { ...tokens, ...next, claims: tokens.claims }
}
await signIn({ name: 'signed in by a pushed request', pushed: true })
await signIn({ name: 'signed in by form_post', parameters: { response_mode: 'form_post' } })
await signIn({ name: 'signed in again, asked for the password', parameters: { prompt: 'login' } })

try {
  const silent = await signIn({ name: 'signed in without a word', parameters: { prompt: 'none' } })
  assert.equal(silent.claims().sub, sub)
} catch (e) {
  // A public client on loopback is asked again each time: anybody may listen there.
  if (setting.client_secret) throw e
  assert.match(String(e.error ?? e.cause?.error ?? e), /consent_required|interaction_required/)
  did('not signed in without a word')
}
if (setting.client_secret) {
  const about = await client.tokenIntrospection(config, tokens.access_token)
  assert.equal(about.active, true)
  did('introspected')
}
await client.tokenRevocation(config, tokens.refresh_token ?? tokens.access_token)
did('revoked')
if (tokens.refresh_token) {
  await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token, undefined, options), (e) => e.error === 'invalid_grant')
  did('the revoked refresh token is refused')
}
const last = await signIn({ name: 'signed in once more' })
const out = client.buildEndSessionUrl(config, { id_token_hint: last.id_token, post_logout_redirect_uri: setting.post_logout_redirect_uri, state: 'bye' })
const end = await browser.through(out.href, { back: setting.post_logout_redirect_uri, login: '', password: '' })
assert.equal(new URL(end).searchParams.get('state'), 'bye')
did('signed out', end)
