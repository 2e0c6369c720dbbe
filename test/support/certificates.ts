import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Paths of PEM files. */
export interface Certificates {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** Whether certificates can be made here. */
export async function hasOpenssl(): Promise<boolean> {
  return run('openssl', ['version']).then(
    () => true,
    () => false,
  );
}

/**
 * A new certificate authority and a certificate of it, good for server and client. It is for localhost beside
 * 127.0.0.1, because the NATS client compares the certificate of an IP address with `localhost`.
 */
export async function makeCertificates(directory: string, prefix: string): Promise<Certificates> {
  const path = (name: string): string => join(directory, `${prefix}-${name}`);
  const [caFile, caKey, certFile, keyFile, request, extensions] = [
    'ca.pem',
    'ca.key',
    'cert.pem',
    'key.pem',
    'csr',
    'ext',
  ].map(path) as [string, string, string, string, string, string];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await run('openssl', [
    'req',
    '-x509',
    ...key,
    '-keyout',
    caKey,
    '-out',
    caFile,
    '-days',
    '1',
    '-subj',
    `/CN=${prefix} authority`,
  ]);
  await run('openssl', ['req', ...key, '-keyout', keyFile, '-out', request, '-subj', `/CN=${prefix}`]);
  await writeFile(extensions, 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n');
  await run('openssl', [
    'x509',
    '-req',
    '-in',
    request,
    '-CA',
    caFile,
    '-CAkey',
    caKey,
    '-CAcreateserial',
    '-out',
    certFile,
    '-days',
    '1',
    '-extfile',
    extensions,
  ]);
  return { caFile, certFile, keyFile };
}
