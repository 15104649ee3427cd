// npm oauth4webapi and jose: every check by hand, as a library for others is used; the
// access token for an API is checked as that API would check it.
import * as oauth from 'oauth4webapi'
import * as jose from 'jose'
import { Browser } from './browser.mjs'
import { setting, did, assert } from './setting.mjs'

const insecure = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(setting.issuer)
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oidc' }))
const plain = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' }).catch(() => oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oidc' })))
assert.equal(plain.token_endpoint, as.token_endpoint)
assert.ok(as.code_challenge_methods_supported.includes('S256'))
assert.equal(as.authorization_response_iss_parameter_supported, true)
did('discovered', as.issuer)

const client = { client_id: setting.client_id }
const auth = setting.client_secret ? oauth.ClientSecretPost(setting.client_secret) : oauth.None()
const DPoP = setting.dpop ? oauth.DPoP(client, await oauth.generateKeyPair('ES256')) : undefined
const browser = new Browser()

// withNonce repeats what was refused for want of a nonce (RFC 9449 section 8).
async function withNonce(send, process) {
  try {
    return await process(await send())
  } catch (e) {
    if (!DPoP || !oauth.isDPoPNonceError(e)) throw e
    return await process(await send())
  }
}

const verifier = oauth.generateRandomCodeVerifier()
const state = oauth.generateRandomState()
const nonce = oauth.generateRandomNonce()
const url = new URL(as.authorization_endpoint)
for (const [name, value] of Object.entries({
  client_id: client.client_id, redirect_uri: setting.redirect_uri, response_type: 'code', scope: `${setting.scope} orders:read`, state, nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', resource: 'https://orders.example',
})) url.searchParams.set(name, value)
const back = await browser.through(url.href, { back: setting.redirect_uri, login: setting.login, password: setting.password })
const parameters = oauth.validateAuthResponse(as, client, new URL(back), state)
did('came back', [...parameters.keys()].sort().join(' '))

const tokens = await withNonce(
  () => oauth.authorizationCodeGrantRequest(as, client, auth, parameters, setting.redirect_uri, verifier, { ...insecure, DPoP, additionalParameters: { resource: 'https://orders.example' } }),
  (response) => oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: nonce, requireIdToken: true }),
)
const claims = oauth.getValidatedIdTokenClaims(tokens)
did('tokens', `${tokens.token_type}, ${tokens.scope}`)

const keys = jose.createRemoteJWKSet(new URL(as.jwks_uri))
const id = await jose.jwtVerify(tokens.id_token, keys, { issuer: as.issuer, audience: client.client_id })
assert.equal(id.payload.sub, claims.sub)
const access = await jose.jwtVerify(tokens.access_token, keys, { issuer: as.issuer, audience: 'https://orders.example', typ: 'at+jwt' })
assert.equal(access.payload.sub, claims.sub)
assert.equal(access.payload.client_id, client.client_id)
assert.ok(access.payload.scope.split(' ').includes('orders:read'))
if (setting.dpop) assert.ok(access.payload.cnf.jkt)
did('jose checks both', `${id.protectedHeader.alg}, ${access.protectedHeader.alg}`)

// A code is good once: who shows it again takes back what it gave.
await assert.rejects(
  withNonce(
    () => oauth.authorizationCodeGrantRequest(as, client, auth, parameters, setting.redirect_uri, verifier, { ...insecure, DPoP }),
    (response) => oauth.processAuthorizationCodeResponse(as, client, response),
  ), (e) => e.error === 'invalid_grant')
did('the code is refused a second time')
if (tokens.refresh_token) {
  await assert.rejects(
    withNonce(
      () => oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token, { ...insecure, DPoP }),
      (response) => oauth.processRefreshTokenResponse(as, client, response),
    ), (e) => e.error === 'invalid_grant')
  did('and its refresh token is refused too')
}
