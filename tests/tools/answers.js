// SPDX-License-Identifier: GPL-2.0-or-later
//
// answers.js DESCRIPTION ANSWERS -- holds recorded answers (tests/e2e/lib.sh, $RECORD)
// against an OpenAPI 3.1 description.  Prints "ok" and "not ok" lines: the description is
// valid, each answer under /v1 is one that it allows, each operation there was seen to
// succeed.
const fs = require("fs");
const YAML = require("yaml");
const Ajv = require("ajv/dist/2020");
const addFormats = require("ajv-formats");
const { Validator } = require("@seriousme/openapi-schema-validator");

const [, , description, answers] = process.argv;
const text = fs.readFileSync(description, "utf8");
const api = YAML.parse(text);
let failed = false;

function check(name, problems) {
    console.log(problems.length ? `not ok ${name}` : `ok ${name}`);
    problems.slice(0, 10).forEach((p) => console.log(`  ${p}`));
    failed ||= problems.length > 0;
}

const ajv = new Ajv({ strict: false, allErrors: false });
addFormats(ajv);
ajv.addSchema({ $id: "api", components: api.components });
const compiled = new Map();
function validator(pointer, schema) {
    if (!compiled.has(pointer)) {
        const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/'));
        compiled.set(pointer, ajv.compile(absolute));
    }
    return compiled.get(pointer);
}

function resolve(node) {
    while (node && node.$ref)
        node = node.$ref.slice(2).split("/").reduce((at, key) => at[key], api);
    return node;
}

// The most literal template that fits.
function template(path) {
    const parts = path.split("?")[0].split("/");
    return Object.keys(api.paths)
        .filter((t) => {
            const want = t.split("/");
            return want.length === parts.length && want.every((w, i) => w === parts[i] || (w.startsWith("{") && parts[i]));
        })
        .sort((a, b) => a.split("{").length - b.split("{").length)[0];
}

// What is wrong with an answer, or "".
function wrong(answer, operation, pointer) {
    // What is refused before a route is found is a problem document all the same.
    const responses = operation ? operation.responses : { default: { $ref: "#/components/responses/Problem" } };
    const key = responses[answer.status] ? answer.status : "default";
    const response = resolve(responses[key]);
    if (!response) return `status ${answer.status} is not described`;
    const type = answer.type.split(";")[0].trim();
    if (!response.content) return answer.body ? "has a body" : "";
    const content = response.content[type];
    if (!content) return `type "${type}" is not described`;
    if (!type.endsWith("json")) return "";
    let value;
    try { value = JSON.parse(answer.body); } catch (e) { return `is not JSON: ${e.message}`; }
    const validate = validator(`${pointer}/${key}/${type}`, content.schema);
    if (validate(value)) return "";
    return validate.errors.map((e) => `${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`).join("; ");
}

(async () => {
    const result = await new Validator().validate(text);
    check("the description is OpenAPI 3.1", result.valid ? [] : [JSON.stringify(result.errors).slice(0, 2000)]);

    const succeeded = new Set(), refused = new Set(), problems = [];
    let count = 0;
    for (const line of fs.readFileSync(answers, "utf8").split("\n").filter(Boolean)) {
        const answer = JSON.parse(line);
        if (!answer.path.startsWith("/v1") || answer.status === "000") continue;
        count++;
        const path = template(answer.path);
        const method = answer.method.toLowerCase();
        const operation = path && api.paths[path][method];
        const what = wrong(answer, operation, `${method} ${path}`);
        if (what) problems.push(`${answer.method} ${answer.path} ${answer.status}: ${what}: ${answer.body.slice(0, 300)}`);
        if (operation) (answer.status < 300 ? succeeded : refused).add(operation.operationId);
    }
    check(`${count} answers are as described`, count > 100 ? problems : [...problems, `only ${count}`]);

    const all = Object.entries(api.paths).filter(([path]) => path.startsWith("/v1"))
        .flatMap(([, item]) => ["get", "put", "post", "delete"].map((m) => item[m]).filter(Boolean))
        .map((operation) => operation.operationId);
    check(`${all.length} operations were seen to succeed`, all.filter((id) => !succeeded.has(id)));
    check(`${refused.size} were seen to refuse`, refused.size > 10 ? [] : ["too few"]);
    process.exit(failed ? 1 : 0);
})();
