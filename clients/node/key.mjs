// Makes a key for a client: NAME.jwk is the client's own, NAME.jwks is for the set-up.
import { writeFileSync } from 'node:fs'
import * as jose from 'jose'

const name = process.argv[2]
if (!name) throw new Error('node key.mjs NAME')
const { publicKey, privateKey } = await jose.generateKeyPair('ES256', { extractable: true })
const about = { kid: await jose.calculateJwkThumbprint(publicKey), alg: 'ES256', use: 'sig' }
writeFileSync(`${name}.jwk`, JSON.stringify({ ...(await jose.exportJWK(privateKey)), ...about }), { mode: 0o600, flag: 'wx' })
writeFileSync(`${name}.jwks`, JSON.stringify({ keys: [{ ...(await jose.exportJWK(publicKey)), ...about }] }))
console.log(`${name}.jwk stays here. ${name}.jwks goes into the set-up.`)
