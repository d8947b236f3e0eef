// Passkeys: the browser asks for the key, and the answer goes back in the form's own hidden field.
// <form data-passkey="add|use" data-options="{…}"> or data-options-url; its button is [data-passkey-go].
const ADVICE = "Passkeys need this dashboard to be open at its https address, and a browser from 2025 or later.";

function tell(form, text) {
  const place = form.querySelector("[data-passkey-error]");
  place.textContent = text; place.hidden = false;
}

async function options(form) {
  if (form.dataset.options) return JSON.parse(form.dataset.options);
  const answer = await fetch(form.dataset.optionsUrl, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error("Too many tries. Wait a minute, then try again.");
  return (await answer.json()).request_options;
}

// A passkey that signs in by itself is kept on the device, and always asks for its lock.
function alone(publicKey, form) {
  if (!form.elements.passwordless?.checked) return publicKey;
  const selection = { ...publicKey.authenticatorSelection, residentKey: "required", requireResidentKey: true, userVerification: "required" };
  return { ...publicKey, authenticatorSelection: selection };
}

async function ask(form) {
  const { publicKey } = await options(form);
  if (form.dataset.passkey === "add") {
    return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(alone(publicKey, form)) });
  }
  return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
}

document.addEventListener("click", async (event) => {
  const form = event.target.closest("[data-passkey-go]")?.closest("form[data-passkey]");
  if (!form) return;
  event.preventDefault();
  if (!window.PublicKeyCredential?.parseCreationOptionsFromJSON) { tell(form, ADVICE); return; }
  try {
    form.elements.credential.value = JSON.stringify(await ask(form));
    form.submit();
  } catch (error) {
    const refused = error.name === "NotAllowedError" || error.name === "InvalidStateError";
    const known = error.name === "InvalidStateError" ? "This key is set up here already." : "Nothing was chosen. Try again when you are ready.";
    tell(form, refused ? known : error.name === "SecurityError" ? ADVICE : error.message);
  }
});
