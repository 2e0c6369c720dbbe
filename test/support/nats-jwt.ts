import { nkeys } from '@nats-io/transport-node';

type KeyPair = ReturnType<typeof nkeys.createUser>;

function base64url(text: string | Uint8Array): string {
  return Buffer.from(text).toString('base64url');
}

function sign(issuer: KeyPair, subject: KeyPair, name: string, nats: Record<string, unknown>): string {
  const header = base64url(JSON.stringify({ typ: 'JWT', alg: 'ed25519-nkey' }));
  const claims = { jti: name, iat: 1, iss: issuer.getPublicKey(), sub: subject.getPublicKey(), name, nats };
  const text = `${header}.${base64url(JSON.stringify(claims))}`;
  return `${text}.${base64url(issuer.sign(new TextEncoder().encode(text)))}`;
}

/** A server configuration in operator mode with one account, and the credentials of a user in it. */
export interface OperatorSetup {
  readonly config: string;
  readonly credentials: string;
}

/** Makes operator, system account, account with JetStream and user; all keys are new. */
export function operatorSetup(): OperatorSetup {
  const [operator, system, account, user] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createAccount(),
    nkeys.createUser(),
  ];
  const unlimited = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, conn: -1, leaf: -1, wildcards: true };
  const jetstream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const accountClaims = { type: 'account', version: 2 };
  const jwts = {
    operator: sign(operator, operator, 'operator', { type: 'operator', version: 2 }),
    system: sign(operator, system, 'SYS', { ...accountClaims, limits: unlimited }),
    account: sign(operator, account, 'APP', { ...accountClaims, limits: { ...unlimited, ...jetstream } }),
    user: sign(account, user, 'user', { type: 'user', version: 2, subs: -1, data: -1, payload: -1 }),
  };
  const seed = new TextDecoder().decode(user.getSeed());
  return {
    config: `
      operator: ${jwts.operator}
      system_account: ${system.getPublicKey()}
      resolver: MEMORY
      resolver_preload: { ${system.getPublicKey()}: ${jwts.system}, ${account.getPublicKey()}: ${jwts.account} }`,
    credentials: `-----BEGIN NATS USER JWT-----
${jwts.user}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${seed}
------END USER NKEY SEED------
`,
  };
}
