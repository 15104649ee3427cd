// The FAPI 2.0 Security Profile with npm openid-client: a pushed request with PKCE, a
// signed assertion in the place of a secret, tokens bound to a key, a call of an API,
// and a refresh. docs/fapi2.md goes through it.
import { readFileSync } from 'node:fs'
import * as client from 'openid-client'
import * as jose from 'jose'
import { Browser } from './browser.mjs'
import { setting, did, assert } from './setting.mjs'

// Who the client is: its key. No secret is ever sent.
const jwk = JSON.parse(readFileSync(setting.key))
const key = { key: await jose.importJWK(jwk, jwk.alg), kid: jwk.kid }
const config = await client.discovery(new URL(setting.issuer), setting.client_id, undefined, client.PrivateKeyJwt(key), {
  execute: [client.allowInsecureRequests], // for http on this machine; leave it out elsewhere
})

// What its tokens are bound to: another key, which need not outlive the grant.
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))

// The request goes to the server first. What the browser carries is a reference to it.
const pkceCodeVerifier = client.randomPKCECodeVerifier()
const expectedState = client.randomState()
const expectedNonce = client.randomNonce()
const url = await client.buildAuthorizationUrlWithPAR(config, {
  redirect_uri: setting.redirect_uri, scope: 'openid orders:read', resource: 'https://orders.example', state: expectedState, nonce: expectedNonce,
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
}, { DPoP })
assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri'])
did('pushed the request', url.searchParams.get('request_uri').slice(0, 34) + '...')

// In an application a browser goes there. Here one made of a few lines signs in and allows.
const browser = new Browser()
const back = new URL(await browser.through(url.href, { back: setting.redirect_uri, login: setting.login, password: setting.password }))
did('came back with', [...back.searchParams.keys()].sort().join(' '))

// state, iss and the ID token with its nonce are checked in here.
const tokens = await client.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }, undefined, { DPoP })
assert.equal(tokens.token_type, 'dpop')
did('has tokens', `${tokens.token_type}, ${tokens.scope}, ID token by ${jose.decodeProtectedHeader(tokens.id_token).alg}`)

// The API wants the token and a proof for this very request.
const call = (token, options) => client.fetchProtectedResource(config, token, new URL(setting.orders), 'GET', undefined, undefined, options)
const answer = await call(tokens.access_token, { DPoP })
assert.equal(answer.status, 200)
const { user } = await answer.json()
assert.equal(user, tokens.claims().sub)
did('called the API', user)

// Who has the token and not the key gets nothing.
await assert.rejects(call(tokens.access_token), (e) => e.status === 401)
const thief = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
await assert.rejects(call(tokens.access_token, { DPoP: thief }), (e) => e.status === 401)
await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP: thief }), (e) => e.error === 'invalid_grant')
did('without the key the tokens are refused')

// A refresh gives a new access token, and the refresh token stays.
const next = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
assert.notEqual(next.access_token, tokens.access_token)
assert.equal(next.refresh_token ?? tokens.refresh_token, tokens.refresh_token)
assert.equal((await call(next.access_token, { DPoP })).status, 200)
did('refreshed, and called again')
