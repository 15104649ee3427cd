// The peer of the endpoints: npm oidc-provider, with what the server of the bench has,
// kept in a Map. It is taken from where the clients' tests install it.
import { generateKeyPairSync } from 'node:crypto'

const { Provider } = await import(new URL('../clients/node/node_modules/oidc-provider/lib/index.js', import.meta.url))
const { port, secret, redirect } = JSON.parse(process.env.BENCH_PROVIDER)

const kept = new Map()
const ofGrant = new Map() // what a grant gave, to end with it
class Kept {
  constructor(model) { this.model = model }
  key(id) { return `${this.model}:${id}` }
  async find(id) { return kept.get(this.key(id)) }
  async findByUid(uid) { return kept.get(kept.get(`uid:${uid}`)) }
  async findByUserCode() { return undefined }
  async consume(id) { kept.get(this.key(id)).consumed = Math.floor(Date.now() / 1000) }
  async destroy(id) { kept.delete(this.key(id)) }
  async upsert(id, payload) {
    if (this.model === 'Session') kept.set(`uid:${payload.uid}`, this.key(id))
    if (payload.grantId) ofGrant.set(payload.grantId, (ofGrant.get(payload.grantId) ?? new Set()).add(this.key(id)))
    kept.set(this.key(id), payload)
  }
  async revokeByGrantId(id) {
    for (const key of ofGrant.get(id) ?? []) kept.delete(key)
    ofGrant.delete(id)
  }
}

const jwk = (alg, [type, options]) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), alg, kid: alg, use: 'sig' })
const codes = { redirect_uris: [redirect], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] }
const scopes = 'a:read'
const provider = new Provider(`http://127.0.0.1:${port}`, {
  adapter: Kept,
  jwks: { keys: [jwk('RS256', ['rsa', { modulusLength: 2048 }]), jwk('ES256', ['ec', { namedCurve: 'P-256' }]), jwk('EdDSA', ['ed25519'])] },
  clients: [
    { client_id: 'bench-service', client_secret: secret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
    { ...codes, client_id: 'bench-site', client_secret: secret },
    { ...codes, client_id: 'bench-site-eddsa', client_secret: secret, id_token_signed_response_alg: 'EdDSA' },
    { ...codes, client_id: 'bench-page', token_endpoint_auth_method: 'none' },
  ],
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'EdDSA'] },
  claims: { openid: ['sub'] },
  scopes: ['openid'],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: {
    devInteractions: { enabled: true }, clientCredentials: { enabled: true }, introspection: { enabled: true },
    resourceIndicators: {
      enabled: true, defaultResource: () => undefined, useGrantedResource: () => true,
      getResourceServerInfo: (_, audience) => {
        const alg = { 'https://eddsa.example': 'EdDSA', 'https://es256.example': 'ES256', 'https://rs256.example': 'RS256' }[audience]
        return { audience, scope: scopes, accessTokenFormat: 'jwt', jwt: { sign: { alg } } }
      },
    },
  },
  // Its recipe for clients of the first party: nobody is asked.
  loadExistingGrant: async (ctx) => {
    const { client, session } = ctx.oidc
    const id = session.grantIdFor(client.clientId)
    if (id) return ctx.oidc.provider.Grant.find(id)
    const grant = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId })
    grant.addOIDCScope('openid')
    grant.addResourceScope('https://eddsa.example', scopes)
    await grant.save()
    return grant
  },
  issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
  ttl: { AccessToken: 3600, AuthorizationCode: 60, ClientCredentials: 3600, Grant: 86400, IdToken: 3600, Interaction: 600, RefreshToken: 86400, Session: 86400 },
})
for (const event of ['server_error', 'authorization.error', 'grant.error']) provider.on(event, (_, e) => console.error(event, e))
provider.listen(Number(port), '127.0.0.1')
