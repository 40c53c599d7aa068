"use strict";
// Verifies a Sigstore bundle by a bare public key, offline, and prints the statement: node FILE BUNDLE KEY.
const { readFileSync } = require("node:fs");
const { createPublicKey } = require("node:crypto");
const { bundleFromJSON } = require("@sigstore/bundle");
const { Verifier, toSignedEntity } = require("@sigstore/verify");

const [file, pem] = process.argv.slice(2);
const bundle = bundleFromJSON(JSON.parse(readFileSync(file, "utf8")));
const key = { publicKey: createPublicKey(readFileSync(pem)), validFor: () => true };
const trusted = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [], publicKey: () => key };
const thresholds = { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 };
new Verifier(trusted, thresholds).verify(toSignedEntity(bundle));
process.stdout.write(bundle.content.dsseEnvelope.payload);
