// A machine without a person: client credentials, checked by jose as the API would.
import * as client from 'openid-client'
import * as jose from 'jose'
import { setting, did, assert } from './setting.mjs'

const config = await client.discovery(new URL(setting.issuer), setting.client_id, undefined, client.ClientSecretBasic(setting.client_secret), {
  execute: [client.allowInsecureRequests],
})
const tokens = await client.clientCredentialsGrant(config, { scope: 'orders:read', resource: 'https://orders.example' })
did('has a token', tokens.scope)
const { payload } = await jose.jwtVerify(tokens.access_token, jose.createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri)), {
  issuer: setting.issuer, audience: 'https://orders.example', typ: 'at+jwt',
})
assert.equal(payload.sub, setting.client_id)
did('jose checks it', payload.sub)
try {
  await client.tokenRevocation(config, tokens.access_token)
  assert.equal((await client.tokenIntrospection(config, tokens.access_token)).active, false)
  did('revoked')
} catch (e) {
  if (!setting.control || e.error !== 'unsupported_token_type') throw e
  did('the control cannot revoke a JWT')
}
