/* See kb.h. The shop and everything about it are invented. */
#include "kb.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEMO_PLACES 2

struct demo_category {
	const char *name;
	size_t parent; /* its number in the table, from 1; 0: the root */
};

struct demo_content {
	const char *title;
	size_t categories[DEMO_PLACES]; /* numbers as above; 0: no more */
	const char *created;
	const char *modified;
	const char *answer;
};

/* A parent stands before its children. */
static const struct demo_category categories[] = {
	{"Pedidos y pagos", 0},
	{"Formas de pago", 1},
	{"Facturas", 1},
	{"Envíos", 0},
	{"Península y Baleares", 4},
	{"Canarias / Ceuta / Melilla", 4},
	{"International", 4},
	{"Devoluciones y garantía", 0},
	{"Mi cuenta", 0},
	{"Seguridad y privacidad", 9},
	{"Help in English", 0},
	{"Orders & payment", 11},
	{"Delivery & returns", 11},
	{"Your account", 11},
};

static const struct demo_content contents[] = {
	{"¿Cómo pago?",
	 {2, 0},
	 "20210304101500",
	 "20240916120000",
	 "<p>Al terminar tu pedido puedes elegir entre:</p>\n<ul><li>tarjeta "
	 "(Visa, Mastercard),</li><li>transferencia "
	 "bancaria,</li><li>Bizum,</li><li>contra reembolso (+ "
	 "2,50&nbsp;€).</li></ul>\n<p>El cargo se hace cuando el paquete sale del "
	 "almacén.</p>"},
	{"¿Puedo pagar a plazos?",
	 {2, 0},
	 "20210304103000",
	 "20231102093000",
	 "<p>Sí, en 3, 6 o 12 meses para compras de más de 90&nbsp;€. Elige "
	 "<strong>Pago a plazos</strong> en el último paso y ten a mano tu "
	 "DNI.</p>"},
	{"¿Cuándo se hace el cargo en mi tarjeta?",
	 {2, 0},
	 "20210312090000",
	 "20220510081500",
	 "<p>Al hacer el pedido solo reservamos el importe. El cargo se hace el "
	 "día del envío; si anulas antes, la reserva desaparece en 2–5 días.</p>"},
	{"Mi pago ha sido rechazado",
	 {2, 10},
	 "20210312093000",
	 "20240227154500",
	 "<p>Comprueba el número, la caducidad y el límite de la tarjeta. Si tu "
	 "banco pide una confirmación en su aplicación, acéptala antes de 5 "
	 "minutos.</p>\n<p>¿Sigue sin funcionar? <a "
	 "href=\"https://tienda.example.com/contacto\">Escríbenos</a>.</p>"},
	{"¿Cómo utilizo un cheque regalo?",
	 {2, 0},
	 "20210405110000",
	 "20210405110000",
	 "<p>Escribe el código de 12 letras en el campo <em>Cheque regalo</em>. "
	 "Lo que sobre queda en tu cuenta y no caduca.</p>"},
	{"¿Dónde encuentro mi factura?",
	 {3, 9},
	 "20210318120000",
	 "20230619101000",
	 "<p>En <a href=\"https://tienda.example.com/cuenta/pedidos\">Mis "
	 "pedidos</a>, junto a cada pedido enviado, hay un enlace <strong>Factura "
	 "(PDF)</strong>.</p>"},
	{"¿Puedo cambiar los datos de una factura?",
	 {3, 0},
	 "20210318123000",
	 "20220901160000",
	 "<p>Durante los 30 días siguientes a la compra. Indícanos el número de "
	 "pedido, el NIF y la dirección fiscal y te enviaremos una factura "
	 "rectificativa.</p>"},
	{"¿Cómo anulo un pedido?",
	 {1, 0},
	 "20210301090000",
	 "20240110113000",
	 "<p>Mientras el estado sea <em>En preparación</em>, pulsa "
	 "<strong>Anular</strong> en <a "
	 "href=\"https://tienda.example.com/cuenta/pedidos\">Mis pedidos</a>. "
	 "Después tendrás que devolverlo.</p>"},
	{"¿Puedo añadir un artículo a un pedido ya hecho?",
	 {1, 0},
	 "20210301091500",
	 "20210822100000",
	 "<p>No, pero si haces otro el mismo día a la misma dirección los "
	 "enviamos juntos y pagas un solo envío.</p>"},
	{"¿Cuánto tarda el envío?",
	 {5, 0},
	 "20210310090000",
	 "20231127083000",
	 "<p>24–48&nbsp;h en días laborables si pides antes de las 14:00; 2–3 "
	 "días en Baleares.</p>"},
	{"¿Cuánto cuesta el envío?",
	 {4, 5},
	 "20210310091500",
	 "20240903090000",
	 "<table><tr><th>Pedido</th><th>Precio</th></tr><tr><td>hasta "
	 "49&nbsp;€</td><td>3,90&nbsp;€</td></tr><tr><td>desde "
	 "49&nbsp;€</td><td>gratis</td></tr></table>"},
	{"¿Dónde está mi paquete?",
	 {4, 0},
	 "20210310093000",
	 "20230214121500",
	 "<p>En cuanto sale del almacén te enviamos un correo con el enlace de "
	 "seguimiento. El número empieza por <code>AL</code> y aparece también en "
	 "<em>Mis pedidos</em>.</p>"},
	{"¿Puedo recoger mi pedido en una tienda?",
	 {4, 0},
	 "20210519100000",
	 "20220318094500",
	 "<p>Sí, sin coste. Elige la tienda en el último paso; te avisamos por "
	 "SMS y lo guardamos 10 días.</p>"},
	{"Envíos a Canarias: aduanas e IGIC",
	 {6, 0},
	 "20210602080000",
	 "20240515070000",
	 "<p>El envío tarda 5–8 días. Los pedidos de más de 150&nbsp;€ pagan IGIC "
	 "y despacho a la entrega; los demás no pagan nada.</p>"},
	{"¿Enviáis a Ceuta y Melilla?",
	 {6, 0},
	 "20210602083000",
	 "20210602083000",
	 "<p>Sí, por correo certificado, en 4–7 días laborables. No podemos "
	 "enviar aerosoles ni baterías sueltas.</p>"},
	{"Which countries do you ship to?",
	 {7, 13},
	 "20210615143000",
	 "20240708150000",
	 "<p>Portugal, France, Italy, Germany, the Netherlands, Sweden and the "
	 "United Kingdom. Shipping costs are shown before you pay.</p>"},
	{"¿Cómo devuelvo un artículo?",
	 {8, 0},
	 "20210320100000",
	 "20240322111500",
	 "<ol><li>Pulsa <strong>Devolver</strong> en <em>Mis "
	 "pedidos</em>.</li><li>Imprime la etiqueta o pide el código "
	 "QR.</li><li>Entrega el paquete en cualquier punto de "
	 "recogida.</li></ol>\n<p>Tienes 30 días; la primera devolución es "
	 "gratuita.</p>"},
	{"¿Cuándo recibo el reembolso?",
	 {8, 2},
	 "20210320103000",
	 "20230905090000",
	 "<p>Entre 3 y 5 días después de que el paquete llegue al almacén, por el "
	 "mismo medio con el que pagaste.</p>"},
	{"Me ha llegado un artículo dañado",
	 {8, 0},
	 "20210320110000",
	 "20231218173000",
	 "<p>Lo sentimos. Haz dos fotos (artículo y embalaje) y <a "
	 "href=\"https://tienda.example.com/contacto\">envíanoslas</a> en "
	 "48&nbsp;h: mandamos otro sin que devuelvas nada.</p>"},
	{"¿Qué cubre la garantía?",
	 {8, 0},
	 "20210325090000",
	 "20220101080000",
	 "<p>Tres años para todos los productos, desde el día de la entrega. No "
	 "cubre golpes ni el desgaste normal.</p>"},
	{"Garantía: ¿reparación o cambio?",
	 {8, 0},
	 "20220214094500",
	 "20220214094500",
	 "<p>Tú eliges, salvo que una de las dos cosas sea imposible o "
	 "desproporcionada. Tardamos 10 días de media.</p>"},
	{"¿Cómo cambio mi contraseña?",
	 {9, 10},
	 "20210302100000",
	 "20240611101500",
	 "<p>En <em>Mi cuenta → Seguridad</em>. Si la has olvidado, pulsa "
	 "<strong>¿Olvidaste tu contraseña?</strong>: el enlace del correo vale "
	 "una hora.</p>"},
	{"¿Cómo cambio mi dirección?",
	 {9, 0},
	 "20210302101500",
	 "20210930120000",
	 "<p>En <em>Mi cuenta → Direcciones</em>. El cambio vale para los pedidos "
	 "nuevos; para uno en preparación, llámanos.</p>"},
	{"¿Cómo me doy de baja del boletín?",
	 {9, 0},
	 "20210302103000",
	 "20210302103000",
	 "<p>Con el enlace al final de cualquier boletín, o en <em>Mi cuenta → "
	 "Avisos</em>.</p>"},
	{"¿Qué datos guardáis de mí?",
	 {10, 0},
	 "20210525000000",
	 "20240525080000",
	 "<p>Los del pedido, seis años, porque la ley lo pide; la tarjeta no, "
	 "nunca. Puedes descargarlos todos en <em>Mi cuenta → "
	 "Privacidad</em>.</p>"},
	{"He recibido un correo sospechoso",
	 {10, 0},
	 "20220907163000",
	 "20241003090000",
	 "<p>Nunca pedimos contraseñas ni códigos por correo. No abras el enlace "
	 "y reenvíanoslo a <a "
	 "href=\"mailto:seguridad@tienda.example.com\">seguridad@tienda.example.com</a>.</p>"},
	{"How can I pay?",
	 {12, 0},
	 "20210306110000",
	 "20240916121500",
	 "<p>By card, bank transfer or PayPal. Your card is charged when the "
	 "parcel leaves our warehouse, not before.</p>"},
	{"Can I pay in instalments?",
	 {12, 0},
	 "20210306113000",
	 "20231102094500",
	 "<p>Yes, over 3, 6 or 12 months from €90, if you live in Spain.</p>"},
	{"Where is my invoice?",
	 {12, 14},
	 "20210318130000",
	 "20230619102500",
	 "<p>Next to each shipped order in <a "
	 "href=\"https://tienda.example.com/en/account/orders\">My orders</a>: "
	 "<strong>Invoice (PDF)</strong>.</p>"},
	{"How do I cancel an order?",
	 {12, 0},
	 "20210306120000",
	 "20240110114500",
	 "<p>Choose <strong>Cancel</strong> in My orders while it says <em>In "
	 "preparation</em>. Once it has left, please send it back.</p>"},
	{"When will my order arrive?",
	 {13, 0},
	 "20210311090000",
	 "20231127084500",
	 "<p>Within 24–48 hours in Spain and 3–6 working days elsewhere in "
	 "Europe.</p>"},
	{"How do I return something?",
	 {13, 0},
	 "20210321100000",
	 "20240322113000",
	 "<p>You have 30 days. Choose <strong>Return</strong> in My orders, print "
	 "the label and drop the parcel off anywhere on the map.</p>"},
	{"When do I get my money back?",
	 {13, 12},
	 "20210321103000",
	 "20230905091500",
	 "<p>Three to five days after your parcel has reached us, the same way "
	 "you paid.</p>"},
	{"I forgot my password",
	 {14, 0},
	 "20210303100000",
	 "20240611103000",
	 "<p>Choose <strong>Forgot your password?</strong> and follow the link in "
	 "the e-mail within an hour.</p>"},
	{"How do I delete my account?",
	 {14, 0},
	 "20210526090000",
	 "20240525081500",
	 "<p>In <em>My account → Privacy</em>. Invoices are kept for six years "
	 "because the law says so; all else is gone within a day.</p>"},
	{"Horario de atención al cliente / Opening hours",
	 {0, 0},
	 "20210301080000",
	 "20240902080000",
	 "<p>Lunes a viernes, 9:00–20:00. Monday to Friday, 9 am to 8 pm "
	 "(Madrid).<br />☎ 900&nbsp;000&nbsp;000 · ayuda@tienda.example.com</p>"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int demo_literal(struct buf *out, const char *text)
{
	out->len = 0;
	text_add_literal(out, text, strlen(text));
	return out->failed ? -ENOMEM : 0;
}

static int demo_categories(struct kb *kb, uint64_t ids[COUNT(categories) + 1], struct buf *name)
{
	int r = 0;

	ids[0] = KB_ROOT;
	for (size_t i = 0; i < COUNT(categories) && !r; i++) {
		struct kb_category *category;

		r = demo_literal(name, categories[i].name);
		if (!r)
			r = kb_add_category(kb, ids[categories[i].parent], name->data, &category);
		if (!r)
			ids[i + 1] = category->id;
	}
	return r;
}

static int demo_content(struct kb *kb, const struct demo_content *plan, const uint64_t *ids,
			struct buf *title)
{
	struct kb_content *content;
	uint64_t places[DEMO_PLACES];
	size_t n = 0;

	while (n < DEMO_PLACES && plan->categories[n]) {
		places[n] = ids[plan->categories[n]];
		n++;
	}
	int r = demo_literal(title, plan->title);
	if (!r)
		r = kb_add_content(kb, title->data, places, n, plan->answer, &content);
	if (r)
		return r;
	snprintf(content->created, sizeof(content->created), "%s", plan->created);
	snprintf(content->modified, sizeof(content->modified), "%s", plan->modified);
	return 0;
}

int kb_demo(struct kb *kb)
{
	uint64_t ids[COUNT(categories) + 1];
	struct buf name = {0};
	int r = demo_categories(kb, ids, &name);

	for (size_t i = 0; i < COUNT(contents) && !r; i++)
		r = demo_content(kb, &contents[i], ids, &name);
	buf_free(&name);
	return r;
}
