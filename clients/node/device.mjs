// npm openid-client on a device without a browser: it shows a code, a person types it
// elsewhere.
import * as client from 'openid-client'
import { Browser } from './browser.mjs'
import { setting, did, assert } from './setting.mjs'

const config = await client.discovery(new URL(setting.issuer), setting.client_id, undefined, client.None(), { execute: [client.allowInsecureRequests] })
const started = await client.initiateDeviceAuthorization(config, { scope: 'openid email' })
assert.ok(started.user_code && started.verification_uri && started.device_code)
did('shows a code', `${started.user_code} at ${started.verification_uri}`)

const browser = new Browser()
const waiting = client.pollDeviceAuthorizationGrant(config, started)
await browser.through(started.verification_uri_complete, { back: 'nowhere:', login: setting.login, password: setting.password, code: started.user_code })
  .catch((e) => { if (!/no way on/.test(e.message)) throw e }) // it ends on a page, not at the device
const tokens = await waiting
did('signed in', Object.keys(tokens).sort().join(' '))
const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)
assert.equal(info.email, setting.email)
did('userinfo', info.email)
if (tokens.refresh_token) {
  await client.refreshTokenGrant(config, tokens.refresh_token)
  did('refreshed')
}
