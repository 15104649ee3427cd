// npm passport-openidconnect in an Express application, as its documentation has it. It
// knows no PKCE: the client's profile must allow that.
import { createServer } from 'node:http'
import express from 'express'
import session from 'express-session'
import passport from 'passport'
import OpenIDConnectStrategy from 'passport-openidconnect'
import { Browser } from './browser.mjs'
import { setting, did, assert } from './setting.mjs'

const found = await (await fetch(`${setting.issuer}/.well-known/openid-configuration`)).json()
const app = express()
const server = createServer(app)
const callback = new URL(setting.redirect_uri)
await new Promise((resolve) => server.listen(Number(callback.port), callback.hostname, resolve))
passport.use(new OpenIDConnectStrategy({
  issuer: found.issuer, authorizationURL: found.authorization_endpoint, tokenURL: found.token_endpoint, userInfoURL: found.userinfo_endpoint,
  clientID: setting.client_id, clientSecret: setting.client_secret, callbackURL: setting.redirect_uri, scope: ['email', 'profile'], skipUserProfile: false,
}, (issuer, profile, done) => done(null, { issuer, id: profile.id, email: profile.emails?.[0]?.value, name: profile.displayName })))
passport.serializeUser((user, done) => done(null, user))
passport.deserializeUser((user, done) => done(null, user))
app.use(session({ secret: 'only for this test', resave: false, saveUninitialized: false }))
app.use(passport.session())
app.get('/login', passport.authenticate('openidconnect'))
app.get(callback.pathname, passport.authenticate('openidconnect', { failWithError: true }), (req, res) => res.redirect('/done'))
app.get('/done', (req, res) => res.json(req.user ?? null))
app.use((err, req, res, _next) => res.status(500).send(String(err.stack)))
try {
  const browser = new Browser()
  const end = await browser.through(new URL('/login', callback).href, { back: new URL('/done', callback).href, login: setting.login, password: setting.password })
  const user = JSON.parse((await browser.request(end)).text)
  assert.equal(user.issuer, setting.issuer)
  assert.equal(user.email, setting.email)
  did('signed in to an Express application', JSON.stringify(Object.keys(user)))
} finally {
  server.close()
  server.closeAllConnections()
}
