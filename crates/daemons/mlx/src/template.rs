//! The chat template: from messages to the text the model was trained on.
//!
//! Rendered here, from the model's own metadata, so that every engine is asked the very same
//! thing. The surroundings are those of Hugging Face's `transformers`: layout options, Python's
//! string methods, `raise_exception`, `strftime_now`, and `tojson` as Python writes JSON.

use std::io;

use jiff::Zoned;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::Serialize as _;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// The name of the one template in its environment.
const NAME: &str = "chat";

/// A model's chat template, ready to render.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    beginning: String,
    end: String,
    knows_tools: bool,
}

/// Why messages cannot be put into the template.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The template is not one we understand.
    #[error("cannot read the model's chat template")]
    Parse(#[source] Box<Error>),
    /// The template refused the messages, or stumbled over them.
    #[error("the model's chat template cannot take these messages: {0}")]
    Render(String),
}

impl ChatTemplate {
    /// Reads a template. `beginning` and `end` are the texts of the tokens around a text.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Parse`] when it is not valid.
    pub fn parse(source: &str, beginning: &str, end: &str) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| TemplateError::Parse(Box::new(error)))?);
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_filter("tojson", tojson);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| TemplateError::Parse(Box::new(error)))?;
        let template = environment
            .get_template(NAME)
            .map_err(|error| TemplateError::Parse(Box::new(error)))?;
        let knows_tools = template.undeclared_variables(false).contains("tools");
        Ok(Self { environment, beginning: beginning.to_owned(), end: end.to_owned(), knows_tools })
    }

    /// Whether the template has a place for tools.
    pub fn knows_tools(&self) -> bool {
        self.knows_tools
    }

    /// Renders the messages, and the beginning of an answer after them. `now` is the date a
    /// template may tell the model.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Render`] with the template's own words when it refuses.
    pub fn render(
        &self,
        messages: &[Value],
        tools: Option<&Value>,
        now: &Zoned,
    ) -> Result<String, TemplateError> {
        let now = now.clone();
        let variables = context! {
            messages,
            tools,
            bos_token => self.beginning.as_str(),
            eos_token => self.end.as_str(),
            add_generation_prompt => true,
            strftime_now => Value::from_function(move |format: &str| strftime(format, &now)),
        };
        let rendered = self.environment.get_template(NAME).and_then(|it| it.render(variables));
        rendered.map_err(|error| {
            let detail = error.detail().map_or_else(|| error.to_string(), str::to_owned);
            TemplateError::Render(detail)
        })
    }
}

fn raise_exception(message: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.to_owned()))
}

fn strftime(format: &str, now: &Zoned) -> Result<String, Error> {
    jiff::fmt::strtime::format(format, now)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// `json.dumps(value, ensure_ascii=False, indent=indent)`.
#[expect(clippy::needless_pass_by_value, reason = "a filter takes its options by value")]
fn tojson(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Known to the reference and without effect on text that is already in order.
    for known in ["ensure_ascii", "separators", "sort_keys"] {
        drop(options.get::<Option<Value>>(known)?);
    }
    options.assert_all_used()?;
    let mut json = Vec::new();
    let written = match indent {
        Some(indent) => {
            let spaces = " ".repeat(indent);
            let formatter = PrettyFormatter::with_indent(spaces.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut json, formatter))
        }
        None => value.serialize(&mut Serializer::with_formatter(&mut json, PythonFormatter)),
    };
    let wrong = |what: String| Error::new(ErrorKind::BadSerialization, what);
    written.map_err(|error| wrong(error.to_string()))?;
    String::from_utf8(json).map_err(|error| wrong(error.to_string()))
}

/// Writes JSON as Python does: a space after each comma and colon.
struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;

    /// The template of SmolLM2, which adds a system message of its own.
    const SMOLLM2: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] \
        != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, \
        trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' \
        + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}\
        {{ '<|im_start|>assistant\n' }}{% endif %}";

    fn message(role: &str, content: &str) -> Value {
        context! { role, content }
    }

    fn now() -> Zoned {
        "2026-11-25T02:00:00Z".parse::<Timestamp>().unwrap().to_zoned(TimeZone::UTC)
    }

    fn render(source: &str, messages: &[Value], tools: Option<&Value>) -> String {
        ChatTemplate::parse(source, "<s>", "</s>").unwrap().render(messages, tools, &now()).unwrap()
    }

    #[test]
    fn a_default_system_message_is_the_templates_and_an_own_one_replaces_it() {
        assert_eq!(
            render(SMOLLM2, &[message("user", "Hi")], None),
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging \
             Face<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        );
        assert_eq!(
            render(SMOLLM2, &[message("system", "Be brief."), message("user", "Hi")], None),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n\
             <|im_start|>assistant\n"
        );
    }

    #[test]
    fn layout_and_python_are_as_the_reference_has_them() {
        let source = "{{ bos_token }}{% for message in messages %}\n    {% if message.role == \
            'user' %}\n[{{ message.content.strip().upper() }}]{% break %}\n    {% endif %}\n{% \
            endfor %}\n{{ messages[0]['content'].split('</think>')[-1].lstrip('\\n') }}";
        assert_eq!(render(source, &[message("user", " hi ")], None), "<s>[HI] hi ");
    }

    #[test]
    fn tools_are_written_as_python_writes_json_in_their_own_order() {
        let tools: Value =
            serde_json::from_str(r#"[{"type":"function","b":[1,2.0,"<é>"],"a":null}]"#).unwrap();
        let source = "{% if tools %}{{ tools | tojson }}{% endif %}";
        let template = ChatTemplate::parse(source, "", "").unwrap();
        assert!(template.knows_tools());
        assert_eq!(
            template.render(&[], Some(&tools), &now()).unwrap(),
            r#"[{"type": "function", "b": [1, 2.0, "<é>"], "a": null}]"#
        );
        assert!(!ChatTemplate::parse(SMOLLM2, "", "").unwrap().knows_tools());
    }

    #[test]
    fn the_date_is_the_one_that_is_passed_in() {
        assert_eq!(render("{{ strftime_now('%d %b %Y') }}", &[], None), "25 Nov 2026");
    }

    #[test]
    fn a_template_refuses_in_its_own_words() {
        let template = ChatTemplate::parse(
            "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}",
            "",
            "",
        )
        .unwrap();
        let error = template.render(&[message("system", "")], None, &now()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the model's chat template cannot take these messages: no system role"
        );
        assert!(ChatTemplate::parse("{% if %}", "", "").is_err());
    }
}
