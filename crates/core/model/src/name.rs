//! Names that cannot be wrong.

use std::fmt;
use std::str::FromStr;

/// The longest name, in characters.
const NAME_LENGTH_MAX: usize = 32;

/// A text that cannot be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a name: use 1 to 32 of a-z, 0-9 and `-`, a letter first")]
pub struct NameError {
    text: String,
}

fn check(text: &str) -> Result<Box<str>, NameError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let named = text.len() <= NAME_LENGTH_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(plain);
    if named { Ok(text.into()) } else { Err(NameError { text: text.to_owned() }) }
}

macro_rules! name {
    ($(#[$documentation:meta])* $type:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Box<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text).map(Self)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a component, unique within its manifest.
    ///
    /// 1 to 32 characters of `a-z`, `0-9` and `-`, starting with a letter, so that it can stand
    /// unescaped in a file name, a launchd label, a systemd unit name and a log field.
    ///
    /// ```
    /// use sanctum_model::ComponentName;
    ///
    /// assert!("proxyd".parse::<ComponentName>().is_ok());
    /// assert!("Proxy d".parse::<ComponentName>().is_err());
    /// ```
    ComponentName
}

name! {
    /// The name of a local seat, written as a [`ComponentName`] is.
    SeatName
}

name! {
    /// The name of a model provider, written as a [`ComponentName`] is.
    ProviderName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_limits_and_its_error_tells_them() {
        for good in ["a", "proxyd", "sanctum-mlx", &"a".repeat(32)] {
            assert!(good.parse::<ComponentName>().is_ok(), "{good}");
        }
        for bad in ["", "9a", "-a", "A", "a b", "a_b", "ü", &"a".repeat(33)] {
            let error = bad.parse::<ComponentName>().unwrap_err();
            assert!(error.to_string().contains("1 to 32"), "{bad}");
        }
    }
}
